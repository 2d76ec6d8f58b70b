/** Journals that other versions of the library wrote: resumed when nothing is lost, else refused by name. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as LLM from "../../src/LLM.js"
import * as BatchTask from "../../src/cli/batch/task.js"
import * as Batch from "../../src/programs/Batch.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { errorOf } from "../support/failure.js"
import { scripted } from "../support/scripted.js"

const usage =
  '"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7,"cachedInputTokens":0,"cacheWriteTokens":0,"reasoningTokens":0,' +
  '"estimated":false}'

const attempt = '"provider":"test","model":"model","keyId":"key"'

const invalidRequest = `{"_tag":"Failure","cause":{"_tag":"Fail","error":{"provider":"test","model":"model","message":"bad","attempts":[{${attempt},"error":"InvalidRequestError","duration":1}],"_tag":"InvalidRequestError"}}}`

/** What 0.1.0 wrote for `Batch.chat`: an answer, a final failure, and a failure that can be retried. */
const chatJournal = [
  '{"batch":"chat-f08ebbf01a1589df8e84af6eff49c0c62586f0d0f89e2c8ccf9164ebb245795f","version":1}',
  `{"index":0,"request":"21557b4122e9e7e227048447d2755b01d186a6e2e22d9d43c11160154dffe725","exit":{"_tag":"Success","value":{"id":"answer","provider":"test","model":"model","text":"Paris","reasoning":"hm","reasoningParts":[{"type":"reasoning","text":"hm","signature":"c2ln"}],"refusal":"","toolCalls":[{"id":"call-1","name":"look","arguments":"{\\"place\\":\\"Paris\\"}"}],"finishReason":"tool-calls","rawFinishReason":"tool_calls",${usage},"cost":{"input":0.001,"cachedInput":0,"cacheWrite":0,"output":0.002,"reasoning":0,"request":0,"total":0.003},"latency":5,"keyId":"key","attempts":[{${attempt},"duration":5}],"providerMetadata":{}}}}`,
  `{"index":1,"request":"f849092ad4bcb11b703846447b6bdd0696a3d24fee0806778f5c57ec27fe283e","exit":${invalidRequest}}`,
  `{"index":2,"request":"1fa5352757961e4e470fe8b04b715bf9780d653a227fabc4b96b74b70bc37d0f","exit":{"_tag":"Failure","cause":{"_tag":"Fail","error":{"provider":"test","model":"model","message":"slow down","attempts":[{${attempt},"error":"RateLimitError","duration":1}],"source":"provider","retryAfter":2000,"_tag":"RateLimitError"}}}}`
]

const chatRequests = ["Where?", { messages: [{ role: "user" as const, content: "bad" }] }, "limited"]

/** What the `batch` command of 0.1.0 wrote: an answer, vectors, and a failure. */
const commandJournal = [
  '{"batch":"requests-0bb70730e2bcc5ba53881af8af1e02bb5891ba487b2622e409ad159ef445244d","version":1}',
  `{"index":0,"request":"3febb1f48fe6ceefc33af6ec687f89178c240e8a4b269574fba0d9ae98858d7c","exit":{"_tag":"Success","value":{"id":"answer","provider":"test","model":"model","text":"Paris","reasoning":"","reasoningParts":[],"refusal":"","toolCalls":[],"finishReason":"stop","rawFinishReason":"stop",${usage},"latency":5,"keyId":"key","attempts":[{${attempt},"duration":5}],"providerMetadata":{}}}}`,
  `{"index":1,"request":"27249c82d87e37daf83a75d1b414623c7306476dcd7656ea9127aae020362f7c","exit":{"_tag":"Success","value":{"provider":"test","model":"model","embeddings":[[6]],${usage},"latency":5,"attempts":[{${attempt},"duration":5}]}}}`,
  `{"index":2,"request":"3315d4693d2cc1e82216e34d3ae0937f3f9e453a19f13c56d0a2fcabeef7775b","exit":${invalidRequest}}`
]

const commandRequests: ReadonlyArray<BatchTask.BatchRequest> = [
  { model: "model", messages: [{ role: "user", content: "Where?" }] },
  { model: "model", input: ["one"] },
  { model: "model", messages: [{ role: "user", content: "bad" }] }
]

const journalOf = (lines: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = `${yield* fileSystem.makeTempDirectoryScoped()}/journal.ndjson`
    const text = lines.map((line) => `${line}\n`).join("")
    yield* fileSystem.writeFileString(path, text)
    return { path, text, read: fileSystem.readFileString(path), journal: yield* Batch.journal(path) }
  })

describe("the version of a batch journal", () => {
  it.scoped("a batch of chats resumes from the journal of 0.1.0 and sends only what can be retried", () =>
    Effect.gen(function* () {
      const { journal } = yield* journalOf(chatJournal)
      const llm = yield* scripted("later")
      const { exits, progress } = yield* Effect.provideService(
        Batch.run(chatRequests, { task: Batch.chat, journal }),
        LLM.LLM,
        llm
      )
      expect(yield* llm.asked).toEqual(["limited"])
      expect(progress).toMatchObject({ succeeded: 2, failed: 1, resumed: 2 })
      const call = Chat.toolCall("call-1", "look", '{"place":"Paris"}')
      expect(exits[0]).toMatchObject(
        Exit.succeed({
          content: [{ type: "reasoning", text: "hm", signature: "c2ln" }, Chat.text("Paris"), call],
          text: "Paris",
          reasoning: "hm",
          refusal: "",
          toolCalls: [call],
          cost: { total: 0.003 }
        })
      )
      expect(errorOf(exits[1])).toMatchObject({ _tag: "InvalidRequestError", message: "bad" })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("the batch command's task resumes from the journal of 0.1.0 with answers and vectors", () =>
    Effect.gen(function* () {
      const { journal, read, text } = yield* journalOf(commandJournal)
      const llm = yield* scripted("later")
      const { exits } = yield* Effect.provideService(
        Batch.run(commandRequests, { task: BatchTask.make(() => Effect.void), journal }),
        LLM.LLM,
        llm
      )
      expect(yield* llm.asked).toEqual([])
      expect(yield* read).toBe(text)
      expect(exits).toMatchObject([
        Exit.succeed({ text: "Paris" }),
        Exit.succeed({ embeddings: [[6]] }),
        { _tag: "Failure" }
      ])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped(
    "refuses a journal of a future version with the file, both versions and the remedy, and leaves it unchanged",
    () =>
      Effect.gen(function* () {
        for (const header of ['{"version":3}', '{"batch":{"name":"chat"},"version":3,"requests":3}']) {
          const { journal, path, read, text } = yield* journalOf([header, "a line of that version"])
          const llm = yield* scripted("never")
          const error = yield* Batch.run(chatRequests, { task: Batch.chat, journal }).pipe(
            Effect.provideService(LLM.LLM, llm),
            Effect.flip
          )
          expect(error).toMatchObject({ _tag: "BatchJournalError", reason: "OtherVersion", path })
          expect(error.message).toBe(
            `The journal ${path} cannot be used: its format has version 3, and this version of effect-llm reads versions 1 and 2. ` +
              "Finish the batch with the version of effect-llm that started it, or remove the file to start again"
          )
          expect(yield* llm.asked).toEqual([])
          expect(yield* read).toBe(text)
        }
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped(
    "keeps all parts of an answer in version 2, and resumes a journal of version 1 that has lines of both",
    () =>
      Effect.gen(function* () {
        const content: ReadonlyArray<Chat.AssistantPart> = [
          Chat.text("First."),
          { ...Chat.toolCall("call-1", "look", "{}"), signature: "c2ln", provider: "test" },
          { type: "provider", provider: "test", native: { anthropic: { type: "web_search_tool_result" } } },
          Chat.text("Last.")
        ]
        const recorded = TestLLM.response({ content })
        const fresh = yield* journalOf([])
        const old = yield* journalOf(chatJournal)
        const answers = yield* Effect.forEach([fresh, old, fresh, old], ({ journal }) =>
          Effect.gen(function* () {
            const { llm } = yield* TestLLM.make([TestLLM.answer(recorded)], { loop: true })
            const run = Batch.run(chatRequests, { task: Batch.chat, journal })
            const { exits, progress } = yield* Effect.provideService(run, LLM.LLM, llm)
            expect(exits[2]).toEqual(Exit.succeed(recorded))
            return progress.resumed
          })
        )
        expect(answers).toEqual([0, 2, 3, 3])
        expect((yield* fresh.read).split("\n")[0]).toContain('"version":2')
        expect((yield* old.read).startsWith(old.text)).toBe(true)
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("resumes the partial answer in an error of 0.1.0 with its tool calls", () =>
    Effect.gen(function* () {
      const partial = `{"id":"answer","model":"model","text":"Par","reasoning":"hm","toolCalls":[{"id":"call-1","name":"sql","arguments":"SELECT","type":"custom"}],${usage}}`
      const error = `{"provider":"test","model":"model","message":"cut","attempts":[],"begun":true,"partial":${partial},"_tag":"StreamInterruptedError"}`
      const cause = `{"_tag":"Sequential","left":{"_tag":"Fail","error":${error}},"right":{"_tag":"Empty"}}`
      const [header = "", answered = ""] = chatJournal
      const failed = `{"index":1,"request":"f849092ad4bcb11b703846447b6bdd0696a3d24fee0806778f5c57ec27fe283e","exit":{"_tag":"Failure","cause":${cause}}}`
      const { journal } = yield* journalOf([header, answered, failed])
      const { exits } = yield* Effect.provideService(
        Batch.run(chatRequests, { task: Batch.chat, journal, resume: "unfinished" }),
        LLM.LLM,
        yield* scripted("later")
      )
      const call = { ...Chat.toolCall("call-1", "sql", "SELECT"), custom: true }
      expect(errorOf(exits[1])).toMatchObject({
        partial: {
          content: [{ type: "reasoning", text: "hm" }, Chat.text("Par"), call],
          text: "Par",
          refusal: "",
          toolCalls: [call]
        }
      })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped(
    "refuses a journal of version 1 with a result that cannot be read, by both versions, and leaves it unchanged",
    () =>
      Effect.gen(function* () {
        const [header = "", answered = ""] = chatJournal
        const { journal, path, read, text } = yield* journalOf([header, answered.replace('"id":"call-1",', "")])
        const error = yield* Batch.run(chatRequests, { task: Batch.chat, journal }).pipe(
          Effect.provideService(LLM.LLM, yield* scripted("never")),
          Effect.flip
        )
        expect(error).toMatchObject({ _tag: "BatchJournalError", reason: "OtherVersion", path })
        expect(error.message).toContain(
          "its format has version 1, and the result in line 2 cannot be read as version 2. Finish"
        )
        expect(yield* read).toBe(text)
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("refuses a file whose first line has no version as corrupt", () =>
    Effect.gen(function* () {
      const { journal } = yield* journalOf(['{"batch":"chat-1"}'])
      const error = yield* Batch.run(chatRequests, { task: Batch.chat, journal }).pipe(
        Effect.provideService(LLM.LLM, yield* scripted("never")),
        Effect.flip
      )
      expect(error).toMatchObject({ reason: "Corrupt" })
      expect(error.message).toContain("line 1")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
