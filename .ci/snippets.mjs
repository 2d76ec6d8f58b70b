// Type-checks every TypeScript snippet of the README, of docs/ and of the examples in docstrings, each as a separate module, against the
// sources under the names that users import. Snippets below a comment such as `<!-- file: main.ts -->` can import each other by these names.
import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

const folder = ".snippets"

const filesBelow = (directory, ending) =>
  readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(directory, name))

const sources = ["README.md", ...filesBelow("docs", ".md"), ...filesBelow("src", ".ts")]

const snippetsOf = (path) => {
  const text = readFileSync(path, "utf8")
  const plain = path.endsWith(".ts") ? text.replace(/^ *\* ?/gm, "") : text
  return [...plain.matchAll(/(?:<!-- file: (\S+\.ts) -->\s+)?^```ts\n([\s\S]*?)^```/gm)].map(([, file, code]) => ({
    file,
    code
  }))
}

/** The sources under the names of the exports of the package. */
const paths = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync("package.json", "utf8")).exports).flatMap(([name, { import: file }]) =>
    file === undefined
      ? []
      : [[name.replace(/^\./, "effect-llm"), [file.replace("./dist/", "../src/").replace(/\.js$/, ".ts")]]]
  )
)

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
let count = 0
for (const path of sources) {
  const prefix = path.replace(/[^a-z0-9]+/gi, "-")
  for (const [index, { code, file }] of snippetsOf(path).entries()) {
    const name = file === undefined ? `${prefix}-${index + 1}.ts` : join(prefix, file)
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), `// ${path}, snippet ${index + 1}\n${code}\nexport {}\n`)
    count++
  }
}
writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({
    extends: "../tsconfig.json",
    compilerOptions: {
      noUnusedLocals: false,
      noUnusedParameters: false,
      paths
    },
    include: ["**/*.ts"]
  })
)
const { status } = spawnSync("npx", ["tsc", "-p", join(folder, "tsconfig.json")], { stdio: "inherit" })
if (status === 0) {
  console.log(`${count} snippets type-check`)
  rmSync(folder, { recursive: true, force: true })
}
process.exit(status ?? 1)
