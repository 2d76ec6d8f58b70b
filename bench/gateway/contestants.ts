/** The measured processes, each in front of the same provider. */
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { createServer } from "node:net"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Target } from "./load.js"
import { secret } from "./scenario.js"

export interface ResourceUsage {
  /** Microseconds of CPU since the start. */
  readonly cpu: number
  /** In bytes. */
  readonly rss: number
}

export interface Contestant extends Target {
  readonly name: string
  /** Absent for direct calls to the provider. */
  readonly resourceUsage?: () => Promise<ResourceUsage>
}

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

const json = { "content-type": "application/json" }

const isResourceUsage = (message: unknown): message is ResourceUsage =>
  typeof message === "object" && message !== null && "cpu" in message && "rss" in message

const resourceUsageOf = (child: ChildProcess) => (): Promise<ResourceUsage> =>
  new Promise((resolve) => {
    const onMessage = (message: unknown): void => {
      if (!isResourceUsage(message)) return
      child.off("message", onMessage)
      resolve(message)
    }
    child.on("message", onMessage)
    child.send("usage")
  })

const register = (children: Array<ChildProcess>, child: ChildProcess): ChildProcess => {
  children.push(child)
  return child
}

/** Starts a process, which sends its port when it is ready. */
const startProcess = (children: Array<ChildProcess>, file: string, args: ReadonlyArray<string>) =>
  new Promise<{ readonly child: ChildProcess; readonly origin: string }>((resolve, reject) => {
    const child = register(
      children,
      fork(pathOf(file), [...args], {
        execArgv: [...process.execArgv, "--import", pathOf("reporting.js")],
        stdio: ["ignore", "ignore", "inherit", "ipc"]
      })
    )
    child.once("message", (port) => resolve({ child, origin: `http://127.0.0.1:${Number(port)}` }))
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
const portkey = async (children: Array<ChildProcess>, provider: string): Promise<Contestant> => {
  const manifest = createRequire(import.meta.url).resolve("@portkey-ai/gateway/package.json")
  const port = await freePort()
  const child = register(
    children,
    fork(join(dirname(manifest), "build/start-server.js"), ["--headless", `--port=${port}`], {
      execArgv: ["--import", pathOf("reporting.js"), "--import", pathOf("portkeyRepair.js")],
      env: { ...process.env, NODE_ENV: "production" },
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
  )
  const origin = `http://127.0.0.1:${port}`
  await untilAnswering(origin)
  return {
    name: "Portkey",
    origin,
    headers: {
      ...json,
      authorization: "Bearer key-one",
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": provider
    },
    resourceUsage: resourceUsageOf(child)
  }
}

const headers = { ...json, authorization: `Bearer ${secret}` }

export interface Started {
  readonly contestants: ReadonlyArray<Contestant>
  readonly stop: () => void
}

/** Starts all contestants. The first is the provider itself. */
export const start = async (): Promise<Started> => {
  const children: Array<ChildProcess> = []
  const upstream = await startProcess(children, "upstream.js", [])
  const provider = `${upstream.origin}/v1`
  const bare = await startProcess(children, "bare.js", [provider])
  const ourGateway = await startProcess(children, "ours.js", [provider])
  const withTelemetry = await startProcess(children, "ours.js", [provider, "operated"])
  return {
    contestants: [
      { name: "direct", origin: upstream.origin, headers },
      { name: "bare @effect/platform", origin: bare.origin, headers, resourceUsage: resourceUsageOf(bare.child) },
      await portkey(children, provider),
      { name: "effect-llm", origin: ourGateway.origin, headers, resourceUsage: resourceUsageOf(ourGateway.child) },
      {
        name: "  with log and metrics",
        origin: withTelemetry.origin,
        headers,
        resourceUsage: resourceUsageOf(withTelemetry.child)
      }
    ],
    stop: () => {
      for (const child of children) child.kill("SIGKILL")
    }
  }
}
