/** Runs command lines in this process with a recorded `Terminal`, a scripted `Stdin` and only the given environment. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { FileSystem } from "@effect/platform"
import { ConfigProvider, Effect, Layer, Queue, Ref, Stream } from "effect"
import { run } from "../../src/cli/app.js"
import { Terminal } from "../../src/cli/terminal/terminal.js"
import { Line, Stdin } from "../../src/cli/terminal/stdin.js"
import type { SimulatedProvider } from "../../src/testing/index.js"

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  /** The piped input. @default none, a terminal */
  readonly input?: string
  /** Whether standard output and standard error are a terminal. @default false */
  readonly terminal?: boolean
  /** Whether a terminal gets colours. @default true */
  readonly colour?: boolean
  /** Whether a terminal gets a layout. @default true */
  readonly layout?: boolean
  /** The typed lines, followed by Ctrl-D. */
  readonly typed?: ReadonlyArray<string | Line>
  /** Succeeds when Ctrl-C is pressed during an answer. */
  readonly interruption?: Effect.Effect<void>
}

export interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** The output of a running program so far, and its result. */
export interface RunningProgram {
  readonly out: Ref.Ref<string>
  readonly err: Ref.Ref<string>
  readonly result: Effect.Effect<Result>
}

export const prepareCli = (words: ReadonlyArray<string>, options: Options = {}): Effect.Effect<RunningProgram> =>
  Effect.gen(function* () {
    const {
      colour = true,
      env = {},
      input,
      interruption = Effect.never,
      layout = true,
      terminal = false,
      typed = []
    } = options
    const out = yield* Ref.make("")
    const err = yield* Ref.make("")
    const lines = yield* Queue.unbounded<Line>()
    yield* lines.offerAll([
      ...typed.map((line) => (typeof line === "string" ? Line.Typed({ text: line }) : line)),
      Line.Ended()
    ])
    const services = Layer.mergeAll(
      Layer.succeed(Terminal, {
        write: (text) => Ref.update(out, (before) => before + text),
        writeError: (text) => Ref.update(err, (before) => before + text),
        outputIsTerminal: terminal,
        errorIsTerminal: terminal,
        inputIsTerminal: input === undefined,
        wantsColour: colour,
        wantsLayout: layout,
        columns: Effect.succeed(100),
        input: input === undefined ? Stream.empty : Stream.encodeText(Stream.make(input))
      }),
      Layer.succeed(Stdin, Effect.succeed({ line: () => Queue.take(lines), interruption })),
      NodeFileSystem.layer,
      NodePath.layer,
      NodeTerminal.layer
    )
    const result = Effect.gen(function* () {
      const code = yield* run(["node", "effect-llm", ...words])
      return { code, out: yield* Ref.get(out), err: yield* Ref.get(err) }
    }).pipe(Effect.provide(services), Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))))
    return { out, err, result }
  })

export const runCli = (words: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Result> =>
  Effect.flatMap(prepareCli(words, options), ({ result }) => result)

/** A key that must not appear in any output. */
export const canary = "sk-canary-5f0b1d7e"

/** Writes a model file for a simulated provider in a temporary folder. */
export const fileOf = (provider: SimulatedProvider.Service, more: Readonly<Record<string, unknown>> = {}) =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const folder = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-llm-" })
    const entry = (model: string) => ({
      model_name: model,
      api_keys: [canary],
      base_url: provider.baseUrl,
      max_retries: 1,
      rate_limit_capacity: 1000,
      rate_limit_refill_rate: 1000
    })
    const config = `${folder}/provider.json`
    const content = { openai: [entry("gpt-4o"), entry("gpt-4o-mini")], $default: "openai/gpt-4o", ...more }
    yield* fileSystem.writeFileString(config, JSON.stringify(content, undefined, 2))
    return { folder, config }
  }).pipe(Effect.provide(NodeFileSystem.layer))

export const read = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFileString(path)).pipe(
    Effect.provide(NodeFileSystem.layer)
  )

export const write = (path: string, text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.writeFileString(path, text)).pipe(
    Effect.provide(NodeFileSystem.layer)
  )

export const exists = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.exists(path)).pipe(
    Effect.provide(NodeFileSystem.layer)
  )
