/** The gateway as a program, for tests that send it signals. */
import { NodeFileSystem, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { run } from "../../../src/gateway/serve.js"

Effect.provide(run(), Layer.merge(NodeFileSystem.layer, NodeHttpClient.layerUndici)).pipe(
  // Its log is its own.
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
