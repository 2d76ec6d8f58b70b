/** The processes that are measured, each behind the same provider. */
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { createServer } from "node:net"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Target } from "./load.js"
import { secret } from "./scenario.js"

export interface Used {
  /** Microseconds of CPU since the start. */
  readonly cpu: number
  /** In bytes. */
  readonly rss: number
}

export interface Contestant extends Target {
  readonly name: string
  /** Absent for the provider itself, asked directly. */
  readonly used?: () => Promise<Used>
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

const json = { "content-type": "application/json" }

const isUsed = (message: unknown): message is Used =>
  typeof message === "object" && message !== null && "cpu" in message && "rss" in message

const usedBy = (child: ChildProcess) => (): Promise<Used> =>
  new Promise((resolve) => {
    const heard = (message: unknown): void => {
      if (!isUsed(message)) return
      child.off("message", heard)
      resolve(message)
    }
    child.on("message", heard)
    child.send("usage")
  })

const stopping = (children: Array<ChildProcess>, child: ChildProcess): ChildProcess => {
  children.push(child)
  return child
}

/** A process that tells its port as soon as it answers. */
const started = (children: Array<ChildProcess>, file: string, args: ReadonlyArray<string>) =>
  new Promise<{ readonly child: ChildProcess; readonly origin: string }>((resolve, reject) => {
    const child = stopping(
      children,
      fork(here(file), [...args], {
        execArgv: [...process.execArgv, "--import", here("reporting.js")],
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

/** Its entry is its command. Without `--headless` it also serves a console, which keeps what passes through. */
const portkey = async (children: Array<ChildProcess>, provider: string): Promise<Contestant> => {
  const manifest = createRequire(import.meta.url).resolve("@portkey-ai/gateway/package.json")
  const port = await freePort()
  const child = stopping(
    children,
    fork(join(dirname(manifest), "build/start-server.js"), ["--headless", `--port=${port}`], {
      execArgv: ["--import", here("reporting.js"), "--import", here("portkeyRepair.js")],
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
    used: usedBy(child)
  }
}

const keyed = { ...json, authorization: `Bearer ${secret}` }

export interface Started {
  readonly contestants: ReadonlyArray<Contestant>
  readonly stop: () => void
}

/** The first is the provider itself. */
export const start = async (): Promise<Started> => {
  const children: Array<ChildProcess> = []
  const upstream = await started(children, "upstream.js", [])
  const provider = `${upstream.origin}/v1`
  const bare = await started(children, "bare.js", [provider])
  const ours = await started(children, "ours.js", [provider])
  const operated = await started(children, "ours.js", [provider, "operated"])
  return {
    contestants: [
      { name: "direct", origin: upstream.origin, headers: keyed },
      { name: "bare @effect/platform", origin: bare.origin, headers: keyed, used: usedBy(bare.child) },
      await portkey(children, provider),
      { name: "effect-llm", origin: ours.origin, headers: keyed, used: usedBy(ours.child) },
      { name: "  with log and metrics", origin: operated.origin, headers: keyed, used: usedBy(operated.child) }
    ],
    stop: () => {
      for (const child of children) child.kill("SIGKILL")
    }
  }
}
