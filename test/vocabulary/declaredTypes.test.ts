/** The types that the compiler writes for a user's program, which are those that an editor shows. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("../../", import.meta.url))

const run = promisify(execFile)

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(async () => realpath(await mkdtemp(join(tmpdir(), "effect-llm-types-")))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** The declared types of the exported constants of a program, by name. */
const declaredTypes = (program: string) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    yield* Effect.promise(async () => {
      await mkdir(join(folder, "out"))
      await symlink(join(root, "node_modules"), join(folder, "node_modules"))
      await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }))
      await writeFile(join(folder, "program.ts"), program)
      await writeFile(
        join(folder, "tsconfig.json"),
        JSON.stringify({
          extends: join(root, "tsconfig.json"),
          compilerOptions: {
            noEmit: false,
            declaration: true,
            emitDeclarationOnly: true,
            // The sources are checked by `npm run types`.
            noCheck: true,
            types: [],
            rootDir: "/",
            outDir: "out",
            paths: { "effect-llm": [join(root, "src/index.ts")] }
          },
          files: ["program.ts"],
          include: []
        })
      )
      await run(join(root, "node_modules/.bin/tsc"), ["-p", folder])
    })
    const declarations = yield* Effect.promise(() => readFile(join(folder, "out", folder, "program.d.ts"), "utf8"))
    const constants = declarations.matchAll(/^export declare const (\w+): ([\s\S]*?);\n(?=export|$)/gm)
    return Object.fromEntries([...constants].map(([, name, type = ""]) => [name, type.replace(/\s+/g, " ")]))
  })

describe("declared types", () => {
  it.scopedLive("requests, answers, events and errors are declared by their names, not by their fields", () =>
    Effect.gen(function* () {
      const types = yield* declaredTypes(`
import { Effect, Schema, Stream } from "effect"
import { Chat, ChatEvent, Embedding, LLM, LLMError, Usage } from "effect-llm"

export const chat = LLM.chat("Hello")
export const chatStream = LLM.chatStream("Hello")
export const embed = LLM.embed("Hello")

const argumentOf = <A>(call: (argument: A, ...rest: ReadonlyArray<never>) => unknown): A => { throw call }
export const input = argumentOf((request: Parameters<typeof LLM.chat>[0]) => request)
export const request = argumentOf((request: Exclude<Parameters<typeof LLM.chat>[0], string>) => request)

export const toolCall = Effect.map(LLM.chat("Hello"), (response) => response.toolCalls[0])
export const finish = Stream.filter(LLM.chatStream("Hello"), (event) => event._tag === "Finish")
export const ofResponse = (response: Chat.ChatResponse) =>
  [response.usage, response.content, response.toolCalls, response.cached] as const
export const ofRequest = (request: Chat.ChatRequest) =>
  [request.messages, request.tools, typeof request.responseFormat === "object" ? request.responseFormat : undefined, request.reasoning] as const
export const ofMessage = (message: Chat.UserMessage) => [message.content, message.native] as const
export const nested = Schema.Struct({ response: Chat.ChatResponse, event: ChatEvent.ChatEvent, message: Chat.Message }).Type
`)
      expect(types).toEqual({
        chat: "Effect.Effect<Chat.ChatResponse, LLMError.LLMError, LLM.LLM>",
        chatStream: "Stream.Stream<ChatEvent.ChatEvent, LLMError.LLMError, LLM.LLM>",
        embed: "Effect.Effect<Embedding.EmbeddingResponse, LLMError.LLMError, LLM.LLM>",
        input: "Chat.ChatRequest.Input",
        request: "Chat.ChatRequest.Messages | Chat.ChatRequest.Prompt",
        toolCall: "Effect.Effect<Chat.ToolCall | undefined, LLMError.LLMError, LLM.LLM>",
        finish: "Stream.Stream<ChatEvent.Finish, LLMError.LLMError, LLM.LLM>",
        ofResponse:
          "(response: Chat.ChatResponse) => readonly " +
          "[Usage.Usage, readonly Chat.AssistantPart[], readonly Chat.ToolCall[], Chat.Cached | undefined]",
        ofRequest:
          "(request: Chat.ChatRequest) => readonly [readonly Chat.Message[], readonly Chat.ToolDefinition[] | undefined, " +
          "Chat.JsonSchemaFormat | undefined, Chat.Reasoning | undefined]",
        ofMessage:
          "(message: Chat.UserMessage) => readonly [string | readonly Chat.UserPart[], Chat.Native | undefined]",
        nested:
          "{ readonly response: Chat.ChatResponse; readonly event: ChatEvent.ChatEvent; readonly message: Chat.Message; }"
      })
    })
  )
})
