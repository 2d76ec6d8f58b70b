// Runs the program of each guide, in `examples/guides`, against a simulated provider. Each must end with the exit code 0 within a minute.
//
// usage: node .ci/guides.mjs [--project <folder>] [name …]
//
// With a folder, in which the packed library and TypeScript are installed, the programs are copied to it, type-checked, compiled, and run
// there. Without one, they run from the sources.
import { execFile, execFileSync, spawn } from "node:child_process"
import { cpSync, existsSync, readdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const guides = join(root, "examples/guides")

const { positionals, values } = parseArgs({ allowPositionals: true, options: { project: { type: "string" } } })
const project = values.project

const names = readdirSync(guides)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replace(/\.ts$/, ""))
  .filter((name) => positionals.length === 0 || positionals.includes(name))

const withoutPage = names.filter((name) => !existsSync(join(root, "docs", `${name}.md`)))
if (withoutPage.length > 0) {
  console.error(`examples/guides has programs without a page in docs: ${withoutPage.join(", ")}`)
  process.exit(1)
}

/** The command that runs a program. */
const commandOf = () => {
  if (project === undefined) return (name) => [join(root, "node_modules/.bin/tsx"), [join(guides, `${name}.ts`)]]
  cpSync(guides, join(project, "guides"), { recursive: true })
  writeFileSync(
    join(project, "tsconfig.guides.json"),
    JSON.stringify({
      extends: "./tsconfig.json",
      compilerOptions: { outDir: "build/guides", rootDir: "guides", skipLibCheck: true },
      files: names.map((name) => `guides/${name}.ts`)
    })
  )
  execFileSync(join(project, "node_modules/.bin/tsc"), ["-p", "tsconfig.guides.json"], {
    cwd: project,
    stdio: "inherit"
  })
  return (name) => [process.execPath, ["--enable-source-maps", join(project, "build/guides", `${name}.js`)]]
}

const simulate =
  project === undefined
    ? [join(root, "node_modules/.bin/tsx"), [join(root, "src/cli/effect-llm.ts"), "simulate"]]
    : [join(project, "node_modules/.bin/effect-llm"), ["simulate"]]

const firstLine = (child) =>
  new Promise((resolve, reject) => {
    let text = ""
    child.stdout.on("data", (chunk) => {
      text += chunk
      if (text.includes("\n")) resolve(text.split("\n")[0])
    })
    child.on("error", reject)
    child.on("exit", (code) => reject(new Error(`the simulated provider exited with ${code}`)))
  })

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

const hasRedis = (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, "redis-server")))

/** The variable `REDIS_URL` with a Redis of its own, where it is installed. */
const redis = async () => {
  if (!hasRedis) return { stop: () => {}, environment: {} }
  const port = await freePort()
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  const child = spawn("redis-server", options, { stdio: "ignore" })
  return { stop: () => child.kill(), environment: { REDIS_URL: `redis://127.0.0.1:${port}` } }
}

const command = commandOf()
const provider = spawn(...simulate, { stdio: ["ignore", "pipe", "ignore"] })
const store = await redis()

const run = (name, environment) =>
  new Promise((resolve) => {
    const [program, arguments_] = command(name)
    const started = Date.now()
    const options = { cwd: project ?? root, env: environment, timeout: 60_000, maxBuffer: 2 ** 26 }
    execFile(program, arguments_, options, (error, stdout, stderr) => {
      const seconds = ((Date.now() - started) / 1000).toFixed(1)
      console.log(error === null ? `ok   ${name} (${seconds} s)` : `FAIL ${name} (${seconds} s): ${error.message}`)
      if (error !== null) console.log(stdout + stderr)
      resolve(error === null)
    }).stdin?.end()
  })

let failed = 0
try {
  const baseUrl = await firstLine(provider)
  const environment = {
    ...process.env,
    ...store.environment,
    OPENAI_API_KEY: "any",
    OPENAI_BASE_URL: baseUrl,
    ANTHROPIC_API_KEY: "any",
    ANTHROPIC_BASE_URL: baseUrl,
    GEMINI_API_KEY: "any",
    GEMINI_BASE_URL: baseUrl
  }
  // Two at once, as many as CI has processors.
  const queue = [...names]
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      if (name.startsWith("redis") && !hasRedis) {
        console.log(`skip ${name}: redis-server is not installed`)
        if (process.env.TEST_EVERYTHING !== undefined) failed++
      } else if (!(await run(name, environment))) {
        failed++
      }
    }
  }
  await Promise.all([worker(), worker()])
} finally {
  provider.kill()
  store.stop()
}
console.log(failed === 0 ? `the programs of ${names.length} guides run` : `the programs of ${failed} guides fail`)
process.exit(failed === 0 ? 0 : 1)
