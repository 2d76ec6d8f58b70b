// Every command in a page runs: the shell fences of a page are executed in their order, in one shell and a folder of their own, against a
// simulated provider. CONTRIBUTING.md describes the comments above a fence that this reads.
import { execFile, execFileSync, spawn } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parse, stringify } from "yaml"
import { commentOf, documentAt, fault, fencesOf, pages, root } from "./documents.mjs"

const here = join(root, ".ci/docs")

/** The command line as it is published. */
const cli = join(root, "dist/cli/effect-llm.js")

const providers = ["OPENAI", "ANTHROPIC", "GEMINI", "DEEPSEEK", "MISTRAL", "DASHSCOPE", "GROQ", "OPENROUTER", "XAI"]

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

const isInstalled = (program) => (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, program)))

const readyLine = (child) =>
  new Promise((resolve, reject) => {
    let text = ""
    child.stdout.on("data", (chunk) => {
      text += chunk
      if (text.includes("\n")) resolve(text.split("\n")[0])
    })
    child.on("exit", (code) => reject(new Error(`the simulated provider exited with ${code}`)))
  })

/** A port in a command or an address; a page may name any, which this machine may use for something else. */
const port = /((?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):|--port[ =]|\b-p |PORT=)(\d{4,5})\b/g

const portsOf = (text) => [...text.matchAll(port)].map(([, , number]) => number)

export const withPorts = (text, ports) =>
  text.replaceAll(port, (_, before, number) => `${before}${ports.get(number) ?? number}`)

/** An abbreviated key, such as `sk-…`, as a whole one. */
const withKeys = (text) => text.replaceAll(/\b(sk-[\w-]*)…/g, "$1fake")

/** A command that runs until it is stopped, without what puts it into the background. */
const server = /^\s*((?:\w+=\S*\s+)*(?:npx (?:--yes )?)?effect-llm (?:serve|simulate)(?=\s|$).*?)\s*(?:&\s*)?(?:#.*)?$/

/** Starts a server in the background in place of a command that runs one. */
const serverLine = (command, defaultPort) => {
  const [, own] = /(?:--port[ =]|-p )(\d+)/.exec(command) ?? []
  const number = own ?? (command.includes("effect-llm serve") ? defaultPort : "any")
  return `stop_server ${number}; { ${command}; } >"$SERVER_LOG" 2>&1 </dev/null & server_started $! ${number}`
}

/**
 * The script of a fence, line by line, so that its lines keep their numbers. A server is started in the background and waited for, and it
 * is stopped when another one takes its port or the page ends.
 */
export const scriptOf = (code, defaultPort) => {
  const lines = code.split("\n")
  const script = []
  for (let first = 0; first < lines.length;) {
    let next = first + 1
    while (next < lines.length && lines[next - 1].endsWith("\\")) next++
    const logical = lines.slice(first, next)
    const [, command] = server.exec(logical.map((line) => line.replace(/\\$/, "")).join(" ")) ?? []
    if (command === undefined || command.includes("--help")) script.push(...logical)
    else script.push(serverLine(command, defaultPort), ...logical.slice(1).map(() => ""))
    first = next
  }
  return script.join("\n")
}

/** A model file that calls the simulated provider: the address of each model is replaced. */
const simulatedModels = (name, text, baseUrl) => {
  const file = parse(text)
  for (const [provider, models] of Object.entries(file)) {
    if (provider.startsWith("$") || !Array.isArray(models)) continue
    for (const model of models) model.base_url = baseUrl
  }
  return name.endsWith(".json") ? `${JSON.stringify(file, null, 2)}\n` : stringify(file)
}

const isModelFile = (name) => /(?:^|\/)(?:provider|models)[\w.-]*\.(?:json|ya?ml)$/.test(name)

const prepare = (folder, baseUrl) => {
  cpSync(join(here, "fixtures"), folder, { recursive: true })
  for (const name of readdirSync(folder)) {
    if (!isModelFile(name)) continue
    writeFileSync(join(folder, name), simulatedModels(name, readFileSync(join(folder, name), "utf8"), baseUrl))
  }
  // A project in which the library and its development dependencies are installed.
  const modules = join(folder, "node_modules")
  mkdirSync(join(modules, ".bin"), { recursive: true })
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (!name.startsWith(".")) symlinkSync(join(root, "node_modules", name), join(modules, name))
  }
  for (const name of readdirSync(join(root, "node_modules/.bin"))) {
    symlinkSync(join(root, "node_modules/.bin", name), join(modules, ".bin", name))
  }
  symlinkSync(root, join(modules, "effect-llm"))
  symlinkSync(cli, join(modules, ".bin/effect-llm"))
  // A repository with a change, for commands such as `git diff`.
  const git = (...arguments_) =>
    execFileSync("git", ["-c", "user.name=docs", "-c", "user.email=docs@localhost", ...arguments_], { cwd: folder })
  git("init", "--quiet")
  git("add", "invoice.txt")
  git("commit", "--quiet", "--message", "Add an invoice")
  appendFileSync(join(folder, "invoice.txt"), "Paid.\n")
}

/** The commands that stand in for those that would use the network, and the limits that keep a command from waiting forever. */
const commandsFolder = (folder) => {
  cpSync(join(here, "bin"), folder, { recursive: true })
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o755)
  symlinkSync(cli, join(folder, "effect-llm"))
}

/** What a page does: files to write, commands to run, and commands that cannot run here. */
const stepsOf = (path) =>
  fencesOf(documentAt(path)).flatMap(({ above, code, lang, line }) => {
    const comments = (name) => above.flatMap((node) => commentOf(node, name) ?? [])
    const [file] = comments("file")
    if (file !== undefined) return [{ type: "file", line, name: file, text: `${code}\n` }]
    if (!["sh", "bash", "shell"].includes(lang)) return []
    const [reason] = comments("not run")
    if (reason !== undefined) return [{ type: "skipped", line, reason }]
    const [allowed = "0"] = above.flatMap(
      (node) => /^<!--\s*exit code (\d+): [\s\S]*-->$/.exec(node.value.trim())?.[1] ?? []
    )
    return [
      ...comments("before").map((text) => ({ type: "run", line, code: text, allowed: "0" })),
      { type: "run", line: line + 1, code, allowed }
    ]
  })

const runPage = async (path, baseUrl, temporary) => {
  const steps = stepsOf(path)
  const notices = steps.flatMap(({ line, reason, type }) =>
    type === "skipped" ? [`${path}:${line}: not run: ${reason}`] : []
  )
  const runs = steps.filter(({ type }) => type === "run")
  if (runs.length === 0) return { faults: [], notices, count: 0 }
  const folder = join(temporary, path.replace(/[^a-z0-9]+/gi, "-"))
  const work = join(folder, "work")
  mkdirSync(work, { recursive: true })
  prepare(work, baseUrl)
  const texts = steps.map(({ code, text }) => code ?? text ?? "")
  const numbers = [
    ...new Set(["8080", ...texts.flatMap(portsOf), ...(texts.some((text) => text.includes("redis")) ? ["6379"] : [])])
  ]
  const ports = new Map(await Promise.all(numbers.map(async (number) => [number, String(await freePort())])))
  let redis
  if (ports.has("6379")) {
    if (isInstalled("redis-server")) {
      redis = spawn(
        "redis-server",
        ["--port", ports.get("6379"), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"],
        { stdio: "ignore" }
      )
    } else if (process.env.TEST_EVERYTHING !== undefined) {
      return { faults: [fault(path, 1, "redis-server is not installed")], notices, count: 0 }
    } else {
      return { faults: [], notices: [...notices, `${path}: not run: redis-server is not installed`], count: 0 }
    }
  }
  const script = [`. ${join(here, "prelude.sh")}`]
  for (const [index, { allowed, code, line, name, text, type }] of steps.entries()) {
    const file = join(folder, `step-${index}`)
    if (type === "file") {
      const content = withKeys(withPorts(text, ports))
      mkdirSync(dirname(join(folder, `files-${index}`, name)), { recursive: true })
      writeFileSync(
        join(folder, `files-${index}`, name),
        isModelFile(name) ? simulatedModels(name, content, baseUrl) : content
      )
      script.push(`cp -r ${join(folder, `files-${index}`)}/. .`)
    } else if (type === "run") {
      writeFileSync(`${file}.sh`, `${scriptOf(withKeys(withPorts(code, ports)), ports.get("8080"))}\n`)
      script.push(
        `STEP_LINE=${line}; ALLOWED_CODE=${allowed}; echo "$SECONDS s: line ${line}" >>"$LOGS/times"`,
        `. ${file}.sh`
      )
    }
  }
  writeFileSync(join(folder, "page.sh"), `${script.join("\n")}\n`)
  const environment = {
    ...process.env,
    ...Object.fromEntries(
      providers.flatMap((name) => [
        [`${name}_API_KEY`, "any"],
        [`${name}_BASE_URL`, baseUrl]
      ])
    ),
    PATH: `${join(temporary, "bin")}:${process.env.PATH}`,
    REAL_PATH: process.env.PATH,
    HOME: folder,
    LOGS: folder,
    EFFECT_LLM_PORT: ports.get("8080"),
    NO_COLOR: "1"
  }
  const output = await new Promise((resolve) => {
    execFile(
      "bash",
      [join(folder, "page.sh")],
      { cwd: work, env: environment, timeout: 300_000, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => resolve({ stdout, stderr, error })
    ).stdin?.end()
  })
  redis?.kill()
  const faults = [...output.stderr.matchAll(/^FAULT (\d+) (\d+) (.*)$/gm)].map(([, line, code, command]) =>
    fault(path, Number(line), `exit code ${code}: ${command}`)
  )
  if (!output.stderr.includes("PAGE COMPLETE"))
    faults.push(fault(path, 1, `the commands did not complete: ${output.error?.message ?? ""}`))
  const context =
    faults.length === 0
      ? []
      : output.stderr
          .split("\n")
          .filter((line) => line !== "PAGE COMPLETE")
          .slice(-40)
  return { faults, notices: [...notices, ...context], count: runs.length }
}

export const commands = async () => {
  if (!existsSync(cli)) return { faults: [fault("dist", 1, "the library is not built: npm run build")], summary: "" }
  const temporary = mkdtempSync(join(tmpdir(), "documents-"))
  commandsFolder(join(temporary, "bin"))
  const provider = spawn(process.execPath, [cli, "simulate"], { stdio: ["ignore", "pipe", "ignore"] })
  try {
    const baseUrl = await readyLine(provider)
    const queue = [...(process.env.PAGES?.split(",") ?? pages)]
    const results = []
    const worker = async () => {
      for (let path = queue.shift(); path !== undefined; path = queue.shift())
        results.push(await runPage(path, baseUrl, temporary))
    }
    await Promise.all([worker(), worker()])
    const count = results.reduce((sum, result) => sum + result.count, 0)
    const notices = results.flatMap((result) => result.notices)
    const skipped = notices.filter((notice) => notice.includes(": not run: ")).length
    return {
      faults: results.flatMap((result) => result.faults),
      notices,
      summary: `the commands of ${count} fences run; ${skipped} fences are marked as not run`
    }
  } finally {
    provider.kill()
    if (process.env.KEEP === undefined) rmSync(temporary, { recursive: true, force: true })
    else console.log(temporary)
  }
}
