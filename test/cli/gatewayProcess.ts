/** Runs `effect-llm serve` in child processes. */
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import { until } from "../support/eventually.js"

/** Starts a process and succeeds when it serves or has exited. */
export const startGateway = (program: string) => (environment: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    let written = ""
    const exited = yield* Deferred.make<number | string>()
    const running = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const created = spawn(process.execPath, [program, "serve"], {
          env: { PATH: process.env["PATH"], EFFECT_LLM_PORT: "0", EFFECT_LLM_LOG_FORMAT: "json", ...environment },
          stdio: ["ignore", "pipe", "pipe"]
        })
        created.stdout.on("data", (data: Buffer) => (written += data.toString()))
        created.stderr.on("data", (data: Buffer) => (written += data.toString()))
        created.on("exit", (code, signal) => Deferred.unsafeDone(exited, Effect.succeed(code ?? signal ?? "")))
        return created
      }),
      (created) => Effect.sync(() => created.kill("SIGKILL"))
    )
    const output = Effect.sync(() => written)
    const address = /The gateway answers at (http:\/\/[\d.:]+)/
    const log = yield* until(output, (text) => address.test(text) || running.exitCode !== null)
    return {
      url: address.exec(log)?.[1] ?? "",
      pid: running.pid ?? 0,
      output,
      kill: (signal: "SIGTERM" | "SIGHUP" | "SIGKILL" | "SIGINT") => Effect.sync(() => running.kill(signal)),
      exited: Deferred.await(exited)
    }
  })
