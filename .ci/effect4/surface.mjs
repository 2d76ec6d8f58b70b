// The names that the installed packages export, read from their declarations.
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import ts from "ts5"

const options = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  skipLibCheck: true,
  noEmit: true,
  types: [],
  strict: true
}

/** The declaration files of a package, as paths below `dist`. */
const declarationsIn = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".d.ts") && !/internal/.test(name))
    : []

/** The exports of each module of `packages` below `modules` (a `node_modules` folder), and the members of the exported types. */
export const surfaceOf = (modules, packages) => {
  const files = new Map()
  for (const name of packages)
    for (const file of declarationsIn(join(modules, name, "dist")))
      files.set(join(modules, name, "dist", file), `${name}/${file.slice(0, -5)}`.replace(/\/index$/, ""))
  const program = ts.createProgram([...files.keys()], options)
  const checker = program.getTypeChecker()
  const surface = new Map()
  const add = (names, symbol, prefix, depth) => {
    const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const name = `${prefix}${symbol.name}`
    names.add(name)
    if (depth < 2 && real.flags & (ts.SymbolFlags.Namespace | ts.SymbolFlags.Enum))
      for (const inner of real.exports?.values() ?? []) add(names, inner, `${name}.`, depth + 1)
    if (real.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class | ts.SymbolFlags.TypeAlias)) {
      const type = checker.getDeclaredTypeOfSymbol(real)
      for (const property of checker.getPropertiesOfType(type)) names.add(`${name}#${property.name}`)
    }
  }
  for (const [file, module] of files) {
    const source = program.getSourceFile(file)
    const symbol = source && checker.getSymbolAtLocation(source)
    if (symbol === undefined) continue
    const names = new Set()
    for (const exported of checker.getExportsOfModule(symbol)) add(names, exported, "", 0)
    surface.set(module, names)
  }
  return surface
}
