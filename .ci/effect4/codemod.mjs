// Rewrites sources for Effect 3 into sources for Effect 4. What a name means is asked of the compiler, not of its text: every name that
// Effect 3 declares is looked up in the rules, then in the declarations of the installed Effect 4. A name with no answer fails the build.
import { relative } from "node:path"
import ts from "ts5"

/** Where the declarations of a package lie. */
const declarationFile = /node_modules\/((?:@effect\/)?[a-z-]+)\/dist\/dts\/(.+)\.d\.ts$/

/** The packages whose names change. */
const effectPackage = /^(effect|@effect\/(platform|platform-node|ai|experimental|vitest|opentelemetry))(\/|$)/

/** `effect/Effect` for a declaration in `node_modules/effect/dist/dts/Effect.d.ts`; undefined for our own. */
const moduleOfFile = (file) => {
  const found = declarationFile.exec(file)
  return found === null || !effectPackage.test(found[1]) ? undefined : `${found[1]}/${found[2]}`.replace(/\/index$/, "")
}

/** A module of our own (`local:`), or one of another package (`package:`), whose names are not looked up. */
const isForeign = (module) => /^(local|package):/.test(module)

/** A problem that the build must not hide, with its place. */
export class Unknown extends Error {
  constructor(key, place, reason = "Effect 4 does not have it, and no rule says what stands for it") {
    super(`${place}: ${key}: ${reason}`)
    this.key = key
    this.place = place
  }
}

/**
 * A rewriter for the program `program` of Effect 3.
 *
 * - `surface`: the names of Effect 4, of `surfaceOf`.
 * - `rules.modules`: where a module went, such as `effect/Either` to `effect/Result`.
 * - `rules.names`: what a name is called now: `catch`, `effect/Latch.make` for one of another module, `facade.timeoutFail` for one of the
 *   facade, or a function of `(node, tools)` that answers the new text or undefined.
 * - `rules.members`: the same for properties and methods of values: `effect/Clock.Clock#unsafeCurrentTimeMillis`.
 * - `rules.effectsOf`: the only file that may use an Either or an Option as an Effect.
 * - `rules.refused`: members, and why the sources must not use them.
 * - `facade(file)`: how `file` imports the facade; `local(file, path)`: how it imports a module of the project.
 */
export const codemod = ({ facade, local, program, rules, surface }) => {
  const checker = program.getTypeChecker()

  const resolved = (symbol) =>
    symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

  /** `{ module, path }` of a symbol that Effect declares: path is `Effect.Success`, `Clock#sleep`, or empty for the module itself. */
  const homeOf = (symbol) => {
    const declaration = symbol?.declarations?.[0]
    if (declaration === undefined) return undefined
    const module = moduleOfFile(declaration.getSourceFile().fileName)
    if (module === undefined) return undefined
    if (ts.isSourceFile(declaration)) return { module, path: "" }
    let path = symbol.name
    let inner = symbol
    for (let node = declaration.parent; node !== undefined && !ts.isSourceFile(node); node = node.parent) {
      if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) {
        path = `${node.name?.text ?? "default"}#${path}`
      } else if (ts.isModuleDeclaration(node)) path = `${node.name.text}.${path}`
      else if (ts.isTypeAliasDeclaration(node) && inner.flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Method))
        path = `${node.name.text}#${path}`
      else if (ts.isVariableDeclaration(node) && inner.flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Method))
        path = `${node.name.getText()}#${path}`
    }
    return { module, path }
  }

  /** The names of the members of all types of a module of Effect 4: types have other names there, and members are inherited. */
  const membersOf = (module) => {
    const known = memberNames.get(module)
    if (known !== undefined) return known
    const names = new Set([...(surface.get(module) ?? [])].flatMap((name) => name.split("#").slice(1)))
    memberNames.set(module, names)
    return names
  }
  const memberNames = new Map()

  /** Whether Effect 4 has a member: in the module of its type, or in the one that the type went to. */
  const hasMember = (key) => {
    const module = key.slice(0, key.indexOf("."))
    const type = key.slice(0, key.lastIndexOf("#"))
    const name = key.slice(key.lastIndexOf("#") + 1)
    const went = rules.names[type]
    if (typeof went === "function") return true
    // The facade and the modules of our own are checked by the compiler.
    if (went?.startsWith("facade.")) return true
    const moved = went?.includes("/") ? went.slice(0, went.indexOf(".", went.lastIndexOf("/"))) : movedModule(module)
    return moved !== undefined && (isForeign(moved) || membersOf(moved).has(name))
  }

  const movedModule = (module) => {
    const moved = rules.modules[module]
    if (moved !== undefined) return moved
    if (surface.has(module)) return module
    return undefined
  }

  /** The rewritten text of a file; `report` takes an `Unknown`. */
  const rewrite = (source, report) => {
    const file = source.fileName
    const text = source.text
    const isTest = /(^|\/)(test|examples|bench)\//.test(relative(process.cwd(), file))
    const taken = new Set()
    const rememberNames = (node) => {
      if (ts.isIdentifier(node)) taken.add(node.text)
      ts.forEachChild(node, rememberNames)
    }
    rememberNames(source)
    const imported = new Set() // the local names of imports of Effect, which are free again
    const place = (node) => {
      const { character, line } = source.getLineAndCharacterOfPosition(node.getStart())
      return `${relative(process.cwd(), file)}:${line + 1}:${character + 1}`
    }
    const locals = new Map()
    /** The local name of a module of Effect 4 (or of the facade), which is imported when asked for. */
    const nameOf = (module, inType) => {
      const known = locals.get(module)
      if (known !== undefined) {
        if (!inType) known.type = false
        return known.name
      }
      const base =
        module === "facade"
          ? "Facade"
          : module === "local:test/support/effect3.js"
            ? "Effect3"
            : module === "package:fast-check"
              ? "FastCheck"
              : module.slice(module.lastIndexOf("/") + 1)
      const original = importedAs.get(module)
      let name = original ?? base
      if (original === undefined) while (taken.has(name)) name = `${name}_`
      taken.add(name)
      locals.set(module, { name, type: inType })
      return name
    }
    const importedAs = new Map() // module of Effect 4 -> the name that the source gave to it
    const functions = new Map() // names imported one by one: local name -> { module, name, type }
    const inTypePosition = (node) => {
      for (let at = node; at !== undefined; at = at.parent) {
        if (ts.isExpressionWithTypeArguments(at))
          return ts.isInterfaceDeclaration(at.parent.parent) || at.parent.token === ts.SyntaxKind.ImplementsKeyword
        if (ts.isTypeNode(at) || ts.isInterfaceDeclaration(at) || ts.isTypeAliasDeclaration(at))
          return !ts.isTypeQueryNode(at) || true
        if (ts.isExpression(at) && !ts.isIdentifier(at) && !ts.isPropertyAccessExpression(at)) return false
        if (ts.isStatement(at)) return false
      }
      return false
    }
    const emit = (node) => {
      const text = rewriteNode(node) ?? emitChildren(node)
      return rules.wrapped(node, text, tools)
    }
    /** The text of a node with its children rewritten; comments and spaces stay. */
    const emitChildren = (node) => {
      let out = ""
      let at = node.getStart(source)
      ts.forEachChild(node, (child) => {
        // Modifiers and type arguments come in order, but JSDoc is a child that lies before the start.
        if (child.getStart(source) < at) return
        out += text.slice(at, child.getStart(source)) + emit(child)
        at = child.getEnd()
      })
      return out + text.slice(at, node.getEnd())
    }
    /** Reports what a rule cannot rewrite. */
    const refuse = (node, key, reason) => report(new Unknown(key, place(node), reason))
    const tools = {
      ts,
      checker,
      emit,
      emitChildren,
      nameOf,
      source,
      text,
      homeOf,
      resolved,
      inTypePosition,
      refuse,
      file
    }

    /** The text for a name that a rule gives: `catch`, `effect/Latch.make`, `facade.interrupt`. */
    const spelled = (node, rule, module, inType) => {
      if (rule.startsWith("test.") && !isTest)
        refuse(node, rule.slice("test.".length), "what stands for it is for tests alone")
      if (rule.startsWith("test."))
        return `${nameOf("local:test/support/effect3.js", inType)}.${rule.slice("test.".length)}`
      const at = rule.startsWith("facade.")
        ? "facade".length
        : rule.includes("/")
          ? rule.indexOf(".", rule.lastIndexOf("/"))
          : -1
      if (at === -1) return `${nameOf(module, inType)}.${rule}`
      return `${nameOf(rule.slice(0, at), inType)}.${rule.slice(at + 1)}`
    }

    /** What a reference `module.path` is called now; reports it if nothing is known. */
    const reference = (node, module, path) => {
      const inType = inTypePosition(node)
      const own = rules.names[`${module}.${path}`]
      const moved = movedModule(module)
      if (typeof own === "function") {
        const answer = own(node, { ...tools, moved, inType })
        if (answer !== undefined) return answer
      } else if (own !== undefined) return spelled(node, own, moved, inType)
      if (own === undefined && rules.calls[`${module}.${path}`] !== undefined && !inType && !isCallee(node))
        refuse(node, `${module}.${path}`, "its calls are rewritten, and here it is used as a value")
      // A name within a namespace, such as `Effect.Success`, goes with its namespace.
      if (moved !== undefined && (isForeign(moved) || surface.get(moved)?.has(path)))
        return spelled(node, path, moved, inType)
      report(new Unknown(`${module}.${path}`, place(node)))
      return node.getText(source)
    }

    const isCallee = (node) => ts.isCallExpression(node.parent) && node.parent.expression === node

    const importOf = (node) => {
      // The symbol of a local name that an import of Effect declares: `{ module, path }`, with `path` empty for a module.
      if (!ts.isIdentifier(node)) return undefined
      const symbol = checker.getSymbolAtLocation(node)
      const declaration = symbol?.declarations?.[0]
      if (declaration === undefined || !(ts.isImportSpecifier(declaration) || ts.isNamespaceImport(declaration)))
        return undefined
      if (declaration.getSourceFile() !== source) return undefined
      return homeOf(resolved(symbol))
    }

    /** `Effect.Effect.Success` as `[Effect, "Effect.Success"]`, if it begins with an imported module. */
    const chain = (node) => {
      const names = []
      let at = node
      while (ts.isPropertyAccessExpression(at) || ts.isQualifiedName(at)) {
        const right = ts.isQualifiedName(at) ? at.right : at.name
        names.unshift(right)
        at = ts.isQualifiedName(at) ? at.left : at.expression
      }
      const home = importOf(at)
      return home === undefined || home.path !== "" || names.length === 0 ? undefined : { root: at, home, names }
    }

    const rewriteNode = (node) => {
      if (ts.isImportDeclaration(node)) {
        if (!effectPackage.test(node.moduleSpecifier.text)) return undefined
        checkImport(node)
        return keptImport(node) ? undefined : ""
      }
      const specifier = specifierOf(node)
      if (specifier !== undefined && effectPackage.test(specifier))
        refuse(node, specifier, "only its imports at the head of a file are rewritten")
      if (ts.isBindingElement(node)) {
        const key = bindingKey(node)
        if (key !== undefined) checkMember(node, key)
      }
      const rule = rules.nodes[ts.SyntaxKind[node.kind]]
      if (rule !== undefined) {
        const answer = rule(node, tools)
        if (answer !== undefined) return answer
      }
      if (ts.isCallExpression(node)) {
        const callee = chain(node.expression)
        const key =
          callee !== undefined && callee.names.length === 1
            ? `${callee.home.module}.${callee.names[0].text}`
            : ts.isPropertyAccessExpression(node.expression)
              ? memberKey(node.expression)
              : functionKey(node.expression)
        const call = key === undefined ? undefined : rules.calls[key]
        if (call !== undefined) {
          try {
            const answer = call(node, tools)
            if (answer !== undefined && key.includes("#")) checkMember(node.expression, key)
            if (answer !== undefined) return answer
          } catch (error) {
            refuse(node, key, `its rule does not rewrite this call: ${error.message}`)
          }
        }
      }
      if (ts.isPropertyAccessExpression(node) || ts.isQualifiedName(node)) {
        const found = chain(node)
        if (found !== undefined) {
          // As many names as the module exports: `Effect.Effect.Success` is one, `Exit.void.pipe` is `Exit.void` and a method.
          const symbols = found.names.map((name) => resolved(checker.getSymbolAtLocation(name)))
          let length = found.names.length
          while (
            length > 1 &&
            !(
              symbols[length - 2].flags & ts.SymbolFlags.Namespace &&
              symbols[length - 2].exports?.has(found.names[length - 1].escapedText)
            )
          )
            length--
          if (length === found.names.length) {
            return reference(node, found.home.module, found.names.map((name) => name.text).join("."))
          }
        }
        if (ts.isPropertyAccessExpression(node)) {
          const key = memberKey(node)
          if (key !== undefined) return member(node, key)
        }
      }
      if (ts.isIdentifier(node)) {
        const parent = node.parent
        if (
          (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
          (ts.isQualifiedName(parent) && parent.right === node)
        )
          return undefined
        if (ts.isPropertyAssignment(parent) && parent.name === node) return undefined
        const home = importOf(node)
        if (home === undefined) return undefined
        if (home.path !== "") return functionReference(node, home)
        const moved = movedModule(home.module)
        if (moved === undefined) {
          report(new Unknown(home.module, place(node)))
          return undefined
        }
        const name = nameOf(moved, inTypePosition(node))
        return ts.isShorthandPropertyAssignment(parent) && name !== node.text ? `${node.text}: ${name}` : name
      }
      return undefined
    }

    const functionKey = (node) => {
      const home = importOf(node)
      return home === undefined ? undefined : `${home.module}.${home.path}`
    }

    /** A name that is imported alone, such as `pipe`. */
    const functionReference = (node, { module, path }) => {
      const inType = inTypePosition(node)
      const own = rules.names[`${module}.${path}`]
      const moved = movedModule(module)
      if (typeof own === "function") {
        const answer = own(node, { ...tools, moved, inType })
        if (answer !== undefined) return answer
      } else if (own !== undefined) return spelled(node, own, moved, inType)
      if (moved === undefined || !(isForeign(moved) || surface.get(moved)?.has(path))) {
        report(new Unknown(`${module}.${path}`, place(node)))
        return undefined
      }
      const known = functions.get(node.text)
      if (known === undefined) functions.set(node.text, { module: moved, name: path, type: inType })
      else if (!inType) known.type = false
      return undefined
    }

    const memberKey = (node) => {
      const symbol = checker.getSymbolAtLocation(node.name)
      const home = homeOf(symbol)
      return home === undefined || !home.path.includes("#") ? undefined : `${home.module}.${home.path}`
    }

    /** The member of Effect that a pattern such as `{ name }` takes from a value. */
    const bindingKey = (node) => {
      if (!ts.isObjectBindingPattern(node.parent) || node.dotDotDotToken !== undefined) return undefined
      const name = (node.propertyName ?? node.name).getText()
      const home = homeOf(checker.getTypeAtLocation(node.parent).getProperty(name))
      return home === undefined || !home.path.includes("#") ? undefined : `${home.module}.${home.path}`
    }

    /** Reports a member that must not be used, or that Effect 4 does not have. */
    const checkMember = (node, key) => {
      const refused = rules.refused.find(([pattern]) => pattern.test(key))
      if (refused !== undefined) refuse(node, key, refused[1])
      else if (rules.members[key] === undefined && rules.calls[key] === undefined && !hasMember(key)) refuse(node, key)
    }

    const member = (node, key) => {
      checkMember(node, key)
      const own = rules.members[key]
      if (typeof own === "function") return own(node, tools)
      return own === undefined
        ? undefined
        : `${emit(node.expression)}${text.slice(node.expression.getEnd(), node.name.getStart(source))}${own}`
    }

    /** An import whose names are not Effect's, such as those of undici by way of the platform. */
    const keptImport = (node) => {
      const bindings = node.importClause?.namedBindings
      const names = bindings === undefined ? [] : ts.isNamedImports(bindings) ? bindings.elements : [bindings]
      return names.every((specifier) => homeOf(resolved(checker.getSymbolAtLocation(specifier.name))) === undefined)
    }

    /** Reports an import of a module, or of a name, that Effect 3 does not have: it would be kept as it is. */
    const checkImport = (node) => {
      const { text: specifier } = node.moduleSpecifier
      if (node.importClause === undefined || checker.getSymbolAtLocation(node.moduleSpecifier) === undefined)
        return refuse(node, specifier, "it is not a module of Effect 3 from which names are imported")
      const bindings = node.importClause.namedBindings
      for (const { name } of bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : [])
        if (resolved(checker.getSymbolAtLocation(name))?.declarations === undefined)
          refuse(node, `${specifier}.${name.text}`, "Effect 3 does not have it")
    }

    /** The module that a re-export, `import("…")` or the type of such a call names. */
    const specifierOf = (node) => {
      const named = ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isImportTypeNode(node)
          ? node.argument.literal
          : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
            ? node.arguments[0]
            : undefined
      return named !== undefined && ts.isStringLiteral(named) ? named.text : undefined
    }

    for (const statement of source.statements) {
      if (!ts.isImportDeclaration(statement) || !effectPackage.test(statement.moduleSpecifier.text)) continue
      const bindings = statement.importClause?.namedBindings
      const specifiers = bindings === undefined ? [] : ts.isNamedImports(bindings) ? bindings.elements : [bindings]
      for (const specifier of specifiers) {
        const local = specifier.name.text
        imported.add(local)
        taken.delete(local)
        const home = homeOf(resolved(checker.getSymbolAtLocation(specifier.name)))
        if (home === undefined && !keptImport(statement)) {
          // A name of another package that a package of Effect hands on.
          const from = movedModule(statement.moduleSpecifier.text) ?? statement.moduleSpecifier.text
          const type = statement.importClause.isTypeOnly || specifier.isTypeOnly === true
          functions.set(local, { module: from, name: (specifier.propertyName ?? specifier.name).text, type })
        }
        if (home === undefined || home.path !== "") continue
        const moved = movedModule(home.module)
        const last = home.module.slice(home.module.lastIndexOf("/") + 1)
        // A module that keeps its name, or that the source named itself, keeps its local name.
        if (moved !== undefined && !importedAs.has(moved) && (local !== last || moved.endsWith(`/${last}`)))
          importedAs.set(moved, local)
      }
    }
    for (const name of importedAs.values()) taken.add(name)

    // Statements, with what stands between them.
    const body = []
    let at = 0
    let head = -1
    for (const statement of source.statements) {
      const start = statement.getStart(source)
      const emitted = emit(statement)
      const removed = ts.isImportDeclaration(statement) && emitted === ""
      body.push(text.slice(at, start))
      if (removed && head === -1) {
        head = body.length
        body.push("")
      }
      body.push(emitted)
      at = statement.getEnd()
    }
    body.push(text.slice(at))
    if (locals.size + functions.size > 0) {
      const lines = importLines(locals, functions, file)
      if (head === -1) body.unshift(`${lines}\n`)
      else body[head] = lines
    }
    return body.join("")
  }

  const importLines = (locals, functions, file) => {
    const groups = new Map()
    const add = (from, type, text) => {
      const key = `${type ? "type " : ""}${from}`
      if (!groups.has(key)) groups.set(key, { from, type, names: [] })
      groups.get(key).names.push(text)
    }
    const lines = []
    for (const [module, { name, type }] of locals) {
      if (module.startsWith("local:")) {
        lines.push(`import ${type ? "type " : ""}* as ${name} from "${local(file, module.slice("local:".length))}"`)
        continue
      }
      if (module.startsWith("package:")) {
        lines.push(`import ${type ? "type " : ""}* as ${name} from "${module.slice("package:".length)}"`)
        continue
      }
      if (module === "facade") {
        lines.push(`import ${type ? "type " : ""}* as ${name} from "${facade(file)}"`)
        continue
      }
      const cut = module.lastIndexOf("/")
      const index = module.slice(0, cut)
      const last = module.slice(cut + 1)
      // The whole of `effect/ai` has servers that nobody here needs.
      if (/^(@effect\/(platform-node|opentelemetry)|effect\/ai)$/.test(index))
        lines.push(`import ${type ? "type " : ""}* as ${name} from "${module}"`)
      else if (!cut || (module.startsWith("@effect/") && cut === 7))
        lines.push(`import ${type ? "type " : ""}* as ${name} from "${module}"`)
      else add(index, type, name === last ? name : `${last} as ${name}`)
    }
    for (const [name, { module, name: exported, type }] of functions)
      add(module, type, exported === name ? name : `${exported} as ${name}`)
    for (const { from, names, type } of [...groups.values()].map((group) => ({
      ...group,
      from: group.from.startsWith("local:") ? local(file, group.from.slice("local:".length)) : group.from
    })))
      lines.push(`import ${type ? "type " : ""}{ ${names.sort().join(", ")} } from "${from}"`)
    return lines.sort().join("\n")
  }

  return { rewrite }
}
