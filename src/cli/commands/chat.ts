/** `effect-llm chat`: a conversation. */
import { FileSystem } from "@effect/platform"
import type { HttpClient } from "@effect/platform"
import { Command, Options } from "@effect/cli"
import { Effect, Either, Option, Ref } from "effect"
import * as Conversation from "../../programs/Conversation.js"
import type { Message } from "../../vocabulary/Chat.js"
import { textOf } from "../../vocabulary/Chat.js"
import * as LLM from "../../call/model.js"
import type { CliFailure } from "../failure.js"
import { ofCall, unusable } from "../failure.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { Screen } from "../terminal/screen.js"
import * as Source from "../config/loadModels.js"
import { show, speak, tellFootnote } from "../terminal/renderAnswer.js"
import { harmless, ofError, ofOutput } from "../terminal/style.js"
import { Stdin } from "../terminal/stdin.js"

const load = Options.text("load").pipe(
  Options.withPseudoName("file"),
  Options.withDescription("Go on with a conversation that /save has written."),
  Options.optional
)

const options = {
  ...Shared.source,
  ...Shared.request,
  system: Shared.system,
  load,
  thoughts: Shared.thoughts,
  noStream: Shared.noStream
}

const help = `/model [name]   another model for what comes, or which there are
/system <text>  what the model is told beforehand; begins anew
/history        what was said so far
/clear          forget all but the system message
/save <file>    write the conversation to a file
/load <file>    go on with one that was written
/exit           leave, as Ctrl-D does
A line that ends with \\ goes on in the next. Ctrl-C stops the answer; at the prompt it leaves.
`

interface Talk {
  readonly conversation: Conversation.Conversation
  readonly llm: LLM.Service
}

const read = (path: string): Effect.Effect<Conversation.Conversation, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const snapshot = yield* Effect.mapError(fileSystem.readFileString(path), (error) =>
      unusable(
        error._tag === "SystemError" && error.reason === "NotFound"
          ? `${path} is not there.`
          : `${path} cannot be read: ${error.message}`
      )
    )
    return yield* Effect.mapError(Conversation.restore(snapshot), () =>
      unusable(`${path} is no conversation that /save has written.`)
    )
  })

const write = (path: string, snapshot: string): Effect.Effect<void, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.mapError(fileSystem.writeFileString(path, `${snapshot}\n`), (error) =>
      unusable(`${path} cannot be written: ${error.message}`)
    )
  )

const lineOf = (message: Message): string => `${message.role}: ${textOf(message.content)}`

/** What is typed with a slash: its name and the rest. */
const commandOf = (text: string): Option.Option<readonly [name: string, rest: string]> =>
  Option.map(Option.fromNullable(/^\/(\w+)\s*(.*)$/s.exec(text)), ([, name = "", rest = ""]) => [
    name.toLowerCase(),
    rest.trim()
  ])

type Environment = Screen | FileSystem.FileSystem

const summary = "Talks with a model. /help inside tells what else it understands."

export const chat = Command.make("chat", options, (given) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const typist = yield* Effect.flatten(Stdin)
    const style = ofOutput(screen)
    const dim = ofError(screen)
    const source = yield* Source.find(given)
    const models = yield* Source.models(source)
    const llm = yield* Source.choose(source, models, given.model)
    const begin = (system: Option.Option<string>) =>
      Conversation.make(Option.match(system, { onNone: () => ({}), onSome: (system) => ({ system }) }))
    const conversation = Option.isSome(given.load) ? yield* read(given.load.value) : yield* begin(given.system)
    const talk = yield* Ref.make<Talk>({ conversation, llm })
    const request = Shared.requestOf(given)

    const note = (text: string): Effect.Effect<void> => screen.tell(`${dim(text, "dim")}\n`)
    const complain = (failure: CliFailure): Effect.Effect<void> =>
      screen.tell(`${dim(harmless(failure.message), "red")}\n`)

    /** Asks, until the answer is there, fails, or is stopped by Ctrl-C. Only an answer that is there is remembered. */
    const answer = (text: string): Effect.Effect<void, never, Environment> =>
      Effect.gen(function* () {
        const { conversation, llm } = yield* Ref.get(talk)
        const spoken = given.noStream
          ? Effect.tap(conversation.send(text, request), (response) => show(response, given))
          : speak(conversation.stream(text, request), given)
        const outcome = yield* Effect.raceFirst(
          Effect.map(Effect.either(Effect.provideService(spoken, LLM.LLM, llm)), Option.some),
          // Where nobody types there is nobody who only wants the answer to stop.
          screen.inputIsTerminal ? Effect.as(typist.interruption, Option.none()) : Effect.never
        )
        yield* Option.match(outcome, {
          onNone: () => note("Stopped. The question and what there was of its answer are not remembered."),
          onSome: Either.match({ onLeft: (error) => complain(ofCall(error)), onRight: tellFootnote })
        })
      })

    const commands: Readonly<
      Record<string, (rest: string) => Effect.Effect<void, CliFailure, Environment | HttpClient.HttpClient>>
    > = {
      help: () => screen.write(help),
      model: (name) =>
        name === ""
          ? screen.write(`${models.list.map(({ model, provider }) => `${provider}/${model}`).join("\n")}\n`)
          : Effect.gen(function* () {
              const wanted = { config: given.config, model: Option.some(name) }
              const chosen = source.isFile
                ? yield* Source.choose(source, models, wanted.model)
                : yield* Source.llm(wanted)
              yield* Ref.update(talk, (before) => ({ ...before, llm: chosen }))
              yield* note(`Now with ${chosen.info.provider}/${chosen.info.model}.`)
            }),
      system: (text) =>
        Effect.gen(function* () {
          const conversation = yield* begin(text === "" ? Option.none() : Option.some(text))
          yield* Ref.update(talk, (before) => ({ ...before, conversation }))
          yield* note("A new conversation.")
        }),
      history: () =>
        Effect.gen(function* () {
          const { conversation } = yield* Ref.get(talk)
          const messages = yield* conversation.messages
          yield* screen.write(messages.map((message) => `${harmless(lineOf(message))}\n`).join(""))
        }),
      clear: () =>
        Effect.gen(function* () {
          const { conversation } = yield* Ref.get(talk)
          yield* conversation.clear
          yield* note("Forgotten.")
        }),
      save: (path) =>
        Effect.gen(function* () {
          if (path === "") return yield* unusable("Say where: /save <file>")
          const { conversation } = yield* Ref.get(talk)
          const history = yield* Effect.mapError(conversation.snapshot, ({ message }) =>
            unusable(`The conversation cannot be saved. ${message}`)
          )
          yield* write(path, history)
          yield* note(`Saved to ${path}.`)
        }),
      load: (path) =>
        Effect.gen(function* () {
          if (path === "") return yield* unusable("Say from where: /load <file>")
          const conversation = yield* read(path)
          yield* Ref.update(talk, (before) => ({ ...before, conversation }))
          const messages = yield* conversation.messages
          yield* note(`${messages.length} messages.`)
        })
    }

    const command = (name: string, rest: string): Effect.Effect<void, never, Environment | HttpClient.HttpClient> => {
      const run = Object.hasOwn(commands, name) ? commands[name] : undefined
      return run === undefined
        ? complain(unusable(`There is no /${name}. /help tells what there is.`))
        : Effect.catchAll(run(rest), complain)
    }

    const over = Option.none<string>()
    const anew = Option.some("")

    /** One line and what comes of it: the beginning of the next one, if there is to be one. */
    const turn = (earlier: string): Effect.Effect<Option.Option<string>, never, Environment | HttpClient.HttpClient> =>
      Effect.gen(function* () {
        const line = yield* typist.line(earlier === "" ? `${style("›", "bold", "cyan")} ` : "  ")
        if (line._tag !== "Typed") {
          if (screen.inputIsTerminal) yield* screen.write("\n")
          return line._tag === "Interrupted" && earlier !== "" ? anew : over
        }
        if (line.text.endsWith("\\")) return Option.some(`${earlier}${line.text.slice(0, -1)}\n`)
        const text = `${earlier}${line.text}`.trim()
        const said = commandOf(text)
        if (Option.isNone(said)) {
          if (text !== "") yield* answer(text)
          return anew
        }
        const [name, rest] = said.value
        if (name === "exit" || name === "quit") return over
        yield* command(name, rest)
        return anew
      })

    if (screen.inputIsTerminal) {
      yield* note(`${llm.info.provider}/${llm.info.model} · /help for help, Ctrl-D to leave`)
    }
    yield* Effect.iterate<Option.Option<string>, Environment | HttpClient.HttpClient, never>(anew, {
      while: Option.isSome,
      body: (earlier) => turn(Option.getOrElse(earlier, () => ""))
    })
  }).pipe(Effect.scoped)
).pipe(Command.withDescription(summary))

export const page = Help.page(["chat"], summary, chat, [
  "effect-llm chat",
  "effect-llm chat --model anthropic/claude-sonnet-4-5 --system 'Answer in one sentence.'",
  "effect-llm chat --load yesterday.json"
])
