/** Measures the time of an import in a new process. Needs `npm run build` for effect-llm. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"

const script = (specifier: string) =>
  `const before = performance.now(); await import(${JSON.stringify(specifier)}); console.log(performance.now() - before)`

const importTime = (specifier: string): number =>
  Number(spawnSync(process.execPath, ["--input-type=module", "-e", script(specifier)], { encoding: "utf8" }).stdout)

export const importTimes = () =>
  [
    ["effect", "effect"],
    ["effect-llm (with effect and @effect/platform)", "./dist/index.js"],
    ["openai", "openai"],
    ["ai", "ai"]
  ]
    .filter(([, specifier]) => !specifier?.startsWith("./") || existsSync(specifier))
    .map(([name = "", specifier = ""]) => ({
      name,
      milliseconds: Math.min(
        ...Array.from({ length: 5 }, () =>
          importTime(specifier.startsWith("./") ? new URL(`../${specifier.slice(2)}`, import.meta.url).href : specifier)
        )
      )
    }))
