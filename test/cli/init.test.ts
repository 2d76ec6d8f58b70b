/** `effect-llm init`: the file that it writes, and what it prints. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import * as Configuration from "../../src/cli/config/configuration.js"
import { canary, exists, read, runCli, write } from "./support.js"

const folder = Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
  fileSystem.makeTempDirectoryScoped({ prefix: "effect-llm-" })
).pipe(Effect.provide(NodeFileSystem.layer))

const env = {
  ANTHROPIC_API_KEY: `${canary}-1`,
  OPENAI_API_KEY: `${canary}-2, ${canary}-3`,
  OPENAI_API_KEY_1: `${canary}-4`,
  OPENAI_BASE_URL: "https://llm.example.com/v1",
  AZURE_API_KEY: `${canary}-5`,
  LLM_DEFAULT_MODEL: "anthropic/claude-opus"
}

it.scopedLive("writes a file that names the variables of all providers with a key, and contains no key", () =>
  Effect.gen(function* () {
    const path = `${yield* folder}/models.yaml`
    const { code, err, out } = yield* runCli(["init", path], { env })
    expect([code, err]).toEqual([0, ""])
    expect(out).toBe(
      `ok ${path} is written.\n` +
        "  openai     gpt-4o-mini  OPENAI_API_KEY, OPENAI_API_KEY_1 (3 keys)\n" +
        "  anthropic  claude-opus  ANTHROPIC_API_KEY\n" +
        "  azure is left out, because it has no usual address: set AZURE_BASE_URL.\n" +
        `Try: effect-llm ask -c ${path} "What is the capital of France?"\n`
    )
    const text = yield* read(path)
    expect(text).not.toContain(canary)
    expect(text).toContain("# requests_per_minute: 500")

    const { faults, file, warnings } = yield* Effect.withConfigProvider(
      Configuration.parse(text, path),
      ConfigProvider.fromMap(new Map(Object.entries(env)))
    )
    expect([faults, warnings]).toEqual([[], []])
    expect(file?.default).toBe("anthropic/claude-opus")
    expect(
      file?.models.map(({ baseUrl, capacity, keys, model }) => ({
        baseUrl,
        capacity,
        keys: keys.map(({ value }) => Redacted.value(value).slice(canary.length)),
        model
      }))
    ).toEqual([
      { baseUrl: undefined, capacity: Infinity, keys: ["-1"], model: "claude-opus" },
      { baseUrl: "https://llm.example.com/v1", capacity: Infinity, keys: ["-2", "-3", "-4"], model: "gpt-4o-mini" }
    ])
  })
)

it.scopedLive("writes commented parts that are valid when their comment signs are removed", () =>
  Effect.gen(function* () {
    const path = `${yield* folder}/models.yml`
    yield* runCli(["init", path], { env })
    const text = (yield* read(path)).replace(/^( *)# (?= +|\$?[a-z_]+:)/gm, "$1")
    const { faults, file, warnings } = yield* Effect.withConfigProvider(
      Configuration.parse(text, path),
      ConfigProvider.fromMap(new Map(Object.entries(env)))
    )
    expect([faults, warnings]).toEqual([[], []])
    expect(file).toMatchObject({
      groups: [{ name: "any" }],
      aliases: { fast: "anthropic/claude-opus" },
      models: [{ requestsPerMinute: 500, tokensPerMinute: 200_000, maxConcurrency: 8 }, {}]
    })
  })
)

it.scopedLive("does not overwrite a file without --force, and writes no JSON", () =>
  Effect.gen(function* () {
    const path = `${yield* folder}/provider.yaml`
    yield* write(path, "mine")
    const refused = yield* runCli(["init", path], { env })
    expect(refused).toEqual({ code: 2, out: "", err: `effect-llm: ${path} exists. --force overwrites it.\n` })
    expect(yield* read(path)).toBe("mine")
    expect((yield* runCli(["init", path, "--force"], { env })).code).toBe(0)
    expect(yield* read(path)).toContain("claude-opus")

    const json = path.replace("yaml", "json")
    expect((yield* runCli(["init", json], { env })).err).toContain("JSON does not allow")
    expect(yield* exists(json)).toBe(false)
  })
)

it.scopedLive("writes a file for OpenAI without a key in the environment, and says how to go on", () =>
  Effect.gen(function* () {
    const path = `${yield* folder}/provider.yaml`
    const { code, out } = yield* runCli(["init", path])
    expect(code).toBe(0)
    expect(out).toContain("There is no API key in the environment: set OPENAI_API_KEY")
    expect(out).toContain("effect-llm simulate")
    const { file } = yield* Effect.withConfigProvider(
      Configuration.parse(yield* read(path), path),
      ConfigProvider.fromMap(new Map([["OPENAI_API_KEY", "key"]]))
    )
    expect(file?.default).toBe("openai/gpt-4o-mini")
  })
)
