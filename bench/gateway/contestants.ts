/** The measured processes, each in front of the same provider. */
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { mkdtempSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Target } from "./load.js"
import { models, secret } from "./scenario.js"
import { portkeyManifest } from "./versions.js"

export interface ResourceUsage {
  /** Microseconds of CPU since the start. */
  readonly cpu: number
  /** In bytes, before garbage was collected for `heap`. */
  readonly rss: number
  /** Bytes of the heap in use after garbage was collected. Absent unless asked for. */
  readonly heap?: number
}

/** Reads the usage of a process. `collect` also collects its garbage and reports the heap in use. */
export type ReadUsage = (question?: "usage" | "collect") => Promise<ResourceUsage>

export interface Contestant extends Target {
  readonly name: Name
  /** Absent for direct calls to the provider. */
  readonly usage?: ReadUsage
}

export interface Competition {
  readonly contestants: ReadonlyArray<Contestant>
  readonly provider: ReadUsage
}

interface Process {
  readonly origin: string
  readonly usage: ReadUsage
}

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

const isResourceUsage = (message: unknown): message is ResourceUsage =>
  typeof message === "object" && message !== null && "cpu" in message && "rss" in message

const usageOf =
  (child: ChildProcess): ReadUsage =>
  (question = "usage") =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        child.off("message", onMessage)
        child.off("exit", onExit)
      }
      const onMessage = (message: unknown): void => {
        if (!isResourceUsage(message)) return
        settle()
        resolve(message)
      }
      const onExit = (code: number | null): void => {
        settle()
        reject(new Error(`the process ended with ${code}`))
      }
      child.on("message", onMessage)
      child.once("exit", onExit)
      child.send(question, (error) => {
        if (error === null) return
        settle()
        reject(error)
      })
    })

/** Starts a file, which reports its usage to the benchmark. */
const startFile = (
  children: Array<ChildProcess>,
  file: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): ChildProcess => {
  const child = fork(file, [...args], {
    execArgv: ["--expose-gc", "--import", pathOf("reporting.js")],
    env: { ...process.env, NODE_ENV: "production", ...environment },
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  children.push(child)
  return child
}

/** Starts a process of this folder, which sends its port when it is ready. */
const startProcess = (children: Array<ChildProcess>, file: string, ...args: ReadonlyArray<string>) =>
  new Promise<Process>((resolve, reject) => {
    const child = startFile(children, pathOf(file), args)
    child.once("message", (port) => resolve({ origin: `http://127.0.0.1:${Number(port)}`, usage: usageOf(child) }))
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}`)))
  })

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

const untilAnswering = async (origin: string): Promise<void> => {
  for (let tries = 0; tries < 100; tries++) {
    const isUp = await fetch(origin).then(
      () => true,
      () => false
    )
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`nothing answers at ${origin}`)
}

/** Starts Portkey by its command. Without `--headless` it also serves a console, which stores the requests. */
const startPortkey = async (children: Array<ChildProcess>): Promise<Process> => {
  const port = await freePort()
  const command = join(dirname(portkeyManifest()), "build/start-server.js")
  const child = startFile(children, command, ["--headless", `--port=${port}`])
  const origin = `http://127.0.0.1:${port}`
  await untilAnswering(origin)
  return { origin, usage: usageOf(child) }
}

/** High enough to reject nothing. */
const unlimited = 1_000_000_000

const providerFile = (provider: string) => {
  const served = (model: string) => ({
    model_name: model,
    api_keys: ["key-one", "key-two", "key-three"],
    base_url: provider,
    rate_limit_capacity: unlimited,
    rate_limit_refill_rate: unlimited
  })
  return { openai: [served(models.openai)], anthropic: [served(models.anthropic)] }
}

const keyFile = [
  {
    key: secret,
    label: "team",
    models: Object.values(models),
    rateLimit: { requestsPerMinute: unlimited, maxConcurrent: 10_000 }
  }
]

/**
 * Starts our gateway by its command, in a usual configuration: a client key with limits, a model with three keys and a limiter at each
 * of two providers. With `isOperated` it also writes its access log, and its metrics are read every second.
 */
const startOurs = async (children: Array<ChildProcess>, provider: string, isOperated: boolean): Promise<Process> => {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), "bench-gateway-"))
  const write = (name: string, content: unknown): string => {
    const file = join(folder, name)
    writeFileSync(file, JSON.stringify(content))
    return file
  }
  const child = startFile(
    children,
    pathOf("../cli/effect-llm.js"),
    [
      "serve",
      `--config=${write("provider.json", providerFile(provider))}`,
      `--keys=${write("keys.json", keyFile)}`,
      `--port=${port}`
    ],
    { EFFECT_LLM_ACCESS_LOG: String(isOperated) }
  )
  const origin = `http://127.0.0.1:${port}`
  await untilAnswering(origin)
  if (isOperated) {
    const timer = setInterval(() => void fetch(`${origin}/metrics`).then((response) => response.text()), 1000)
    child.once("exit", () => clearInterval(timer))
  }
  return { origin, usage: usageOf(child) }
}

const headers = { "content-type": "application/json", authorization: `Bearer ${secret}` }

const portkeyHeaders = (provider: string) => ({
  "content-type": "application/json",
  authorization: "Bearer key-one",
  "x-portkey-provider": "openai",
  "x-portkey-custom-host": provider
})

type Start = (children: Array<ChildProcess>, provider: string) => Promise<Omit<Contestant, "name">>

const starts = {
  direct: async (_children, provider) => ({ origin: new URL(provider).origin, headers }),
  "bare node:http": async (children, provider) => ({
    ...(await startProcess(children, "bareNode.js", provider)),
    headers
  }),
  "bare @effect/platform": async (children, provider) => ({
    ...(await startProcess(children, "barePlatform.js", provider)),
    headers
  }),
  Portkey: async (children, provider) => ({ ...(await startPortkey(children)), headers: portkeyHeaders(provider) }),
  "effect-llm": async (children, provider) => ({ ...(await startOurs(children, provider, false)), headers }),
  "effect-llm, log and metrics": async (children, provider) => ({
    ...(await startOurs(children, provider, true)),
    headers
  })
} satisfies Readonly<Record<string, Start>>

export type Name = keyof typeof starts

/** Starts the provider and the contestants, runs the task, and ends them all. */
export const compete = async <A>(
  names: ReadonlyArray<Name>,
  task: (competition: Competition) => Promise<A>
): Promise<A> => {
  const children: Array<ChildProcess> = []
  try {
    const provider = await startProcess(children, "upstream.js")
    const contestants: Array<Contestant> = []
    for (const name of names) contestants.push({ name, ...(await starts[name](children, `${provider.origin}/v1`)) })
    return await task({ contestants, provider: provider.usage })
  } finally {
    for (const child of children) child.kill("SIGKILL")
  }
}
