#!/usr/bin/env node
/** The entry point of the program: runs the command line of this process and exits with its exit code. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { makeRunMain } from "@effect/platform/Runtime"
import { Effect, Exit, Layer } from "effect"
import { run } from "./app.js"
import { exitCodes } from "./failure.js"
import * as ProcessTerminal from "./terminal/processTerminal.js"

const services = Layer.mergeAll(
  ProcessTerminal.layer,
  ProcessTerminal.layerStdin,
  NodeFileSystem.layer,
  NodePath.layer,
  NodeTerminal.layer
)

/**
 * Ctrl-C stops the program unless another listener waits for it; the second one exits without waiting for finalizers.
 * Replaces the standard `runMain`, which exits with 0 when it is interrupted and handles every Ctrl-C itself.
 */
const runMain = makeRunMain(({ fiber, teardown }) => {
  let stoppedBy: number | undefined
  const stop = (code: number) => {
    if (stoppedBy !== undefined) process.exit(code)
    stoppedBy = code
    fiber.unsafeInterruptAsFork(fiber.id())
  }
  process.on("SIGINT", () => {
    if (!ProcessTerminal.isClaimed("SIGINT")) stop(exitCodes.interrupted)
  })
  process.on("SIGTERM", () => {
    if (!ProcessTerminal.isClaimed("SIGTERM")) stop(exitCodes.terminated)
  })
  fiber.addObserver((exit) => teardown(exit, (code) => process.exit(stoppedBy ?? code)))
})

runMain({
  disableErrorReporting: true,
  disablePrettyLogger: true,
  teardown: (exit, onExit) =>
    onExit(Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : exitCodes.outputClosed)
})(Effect.provide(run(process.argv), services))
