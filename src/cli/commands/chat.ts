/** `effect-llm chat`: an interactive conversation. */
import { FileSystem } from "@effect/platform"
import type { HttpClient } from "@effect/platform"
import { Effect, Either, Option, Ref } from "effect"
import * as Conversation from "../../programs/Conversation.js"
import { didYouMean } from "../../internal/nearest.js"
import type { Message } from "../../vocabulary/Chat.js"
import { textOf } from "../../vocabulary/Chat.js"
import * as LLM from "../../call/model.js"
import type { CliFailure } from "../failure.js"
import { callFailure, usageFailure } from "../failure.js"
import * as Shared from "../options.js"
import { Terminal } from "../terminal/terminal.js"
import { attemptsOf, chooseModel, loadModel, loadSource, makeModels } from "../config/loadModels.js"
import { renderResponse, renderStream, renderText, writeFootnote } from "../terminal/renderAnswer.js"
import { sanitize, errorStyle, outputStyle } from "../terminal/style.js"
import { Stdin } from "../terminal/stdin.js"
import * as Completion from "../terminal/completion.js"
import * as Waiting from "../terminal/waiting.js"
import type { Arguments } from "../definitions/chat.js"

const help = `/model [name]   switch to another model; without a name, list the models
/system <text>  set the system message and start a new conversation
/history        print the conversation so far
/clear          remove all messages except the system message
/save <file>    save the conversation to a file
/load <file>    continue a saved conversation
/exit           exit, as Ctrl-D does
Tab completes commands and models. A \\ at the end of a line continues the input on the next line. Ctrl-C stops the answer; at the prompt it exits.
`

interface Session {
  readonly conversation: Conversation.Conversation
  readonly llm: LLM.Service
}

const loadConversation = (path: string): Effect.Effect<Conversation.Conversation, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const snapshot = yield* Effect.mapError(fileSystem.readFileString(path), (error) =>
      usageFailure(
        error._tag === "SystemError" && error.reason === "NotFound"
          ? `${path} does not exist.`
          : `${path} cannot be read: ${error.message}`
      )
    )
    return yield* Effect.mapError(Conversation.restore(snapshot), () =>
      usageFailure(`${path} is not a conversation that was saved with /save.`)
    )
  })

const saveConversation = (path: string, snapshot: string): Effect.Effect<void, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.mapError(fileSystem.writeFileString(path, `${snapshot}\n`), (error) =>
      usageFailure(`${path} cannot be written: ${error.message}`)
    )
  )

const roles: Readonly<Record<Message["role"], string>> = {
  system: "System",
  developer: "Developer",
  user: "You",
  assistant: "Assistant",
  tool: "Tool"
}

/** Renders a message on a terminal like an answer, below its role. */
const writeMessage = ({ content, role }: Message): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(Terminal, (terminal) =>
    terminal.outputIsTerminal
      ? Effect.zipRight(
          terminal.write(`${outputStyle(terminal)(roles[role], "bold", "cyan")}\n`),
          renderText(textOf(content))
        )
      : terminal.write(`${sanitize(`${role}: ${textOf(content)}`)}\n`)
  )

/** Splits a slash command into its name and its argument. */
const parseCommand = (text: string): Option.Option<readonly [name: string, rest: string]> =>
  Option.map(Option.fromNullable(/^\/(\w+)\s*(.*)$/s.exec(text)), ([, name = "", rest = ""]) => [
    name.toLowerCase(),
    rest.trim()
  ])

/** How long a switch of the model waits for the provider's list. */
const listTimeout = "3 seconds"

type Environment = Terminal | FileSystem.FileSystem

export const run = (args: Arguments) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const stdin = yield* Effect.flatten(Stdin)
    const style = outputStyle(terminal)
    const errorText = errorStyle(terminal)
    const source = yield* loadSource(args)
    const models = yield* makeModels(source)
    const llm = yield* chooseModel(source, models, args.model)
    const newConversation = (system: Option.Option<string>) =>
      Conversation.make(Option.match(system, { onNone: () => ({}), onSome: (system) => ({ system }) }))
    const conversation = Option.isSome(args.load)
      ? yield* loadConversation(args.load.value)
      : yield* newConversation(args.system)
    const session = yield* Ref.make<Session>({ conversation, llm })
    const request = Shared.requestOf(args)

    const note = (text: string): Effect.Effect<void> => terminal.writeError(`${errorText(text, "dim")}\n`)
    const printFailure = (failure: CliFailure): Effect.Effect<void> =>
      terminal.writeError(`${errorText(sanitize(failure.message), "red")}\n`)

    const modelNames = models.list.map(({ name }) => name)

    /** Notes that the provider does not list the model. It can still be right: not every provider lists all of them. */
    const checkModel = ({ info, listModels }: LLM.Service): Effect.Effect<void> =>
      Effect.gen(function* () {
        const listed = yield* Effect.option(Effect.timeout(listModels, listTimeout))
        const ids = Option.match(listed, {
          onNone: (): ReadonlyArray<string> => [],
          onSome: (all) => all.map(({ id }) => id)
        })
        if (ids.length === 0 || ids.includes(info.model)) return
        yield* note(`${info.provider} does not list ${info.model}.${didYouMean(info.model, ids)}`)
      })

    /** Runs until the answer is complete, fails, or is stopped by Ctrl-C. Only a complete answer joins the conversation. */
    const sendMessage = (text: string): Effect.Effect<void, never, Environment> =>
      Effect.gen(function* () {
        const { conversation, llm } = yield* Ref.get(session)
        const waiting = {
          quiet: args.quiet,
          model: `${llm.info.provider}/${llm.info.model}`,
          attempts: attemptsOf(source, llm.info)
        }
        const call = Waiting.use(waiting, ({ during, stop }) =>
          args.noStream
            ? Effect.tap(during(conversation.send(text, request)), (response) =>
                Effect.zipRight(stop, renderResponse(response, args))
              )
            : during(renderStream(conversation.stream(text, request), { ...args, onBegin: stop }))
        )
        const outcome = yield* Effect.raceFirst(
          Effect.map(Effect.either(Effect.provideService(call, LLM.LLM, llm)), Option.some),
          // Without a terminal, Ctrl-C ends the program.
          terminal.inputIsTerminal ? Effect.as(stdin.interruption, Option.none()) : Effect.never
        )
        yield* Option.match(outcome, {
          onNone: () => note("Stopped. The question and its partial answer are not part of the conversation."),
          onSome: Either.match({ onLeft: (error) => printFailure(callFailure(error)), onRight: writeFootnote })
        })
      })

    const commands: Readonly<
      Record<string, (rest: string) => Effect.Effect<void, CliFailure, Environment | HttpClient.HttpClient>>
    > = {
      help: () => terminal.write(help),
      model: (name) =>
        name === ""
          ? terminal.write(`${modelNames.join("\n")}\n`)
          : Effect.gen(function* () {
              const selection = { config: args.config, model: Option.some(name) }
              const llm = source.isFile
                ? yield* chooseModel(source, models, selection.model)
                : yield* loadModel(selection)
              yield* Ref.update(session, (before) => ({ ...before, llm }))
              yield* note(`Switched to ${llm.info.provider}/${llm.info.model}.`)
              if (!source.isFile) yield* checkModel(llm)
            }),
      system: (text) =>
        Effect.gen(function* () {
          const conversation = yield* newConversation(text === "" ? Option.none() : Option.some(text))
          yield* Ref.update(session, (before) => ({ ...before, conversation }))
          yield* note("Started a new conversation.")
        }),
      history: () =>
        Effect.gen(function* () {
          const { conversation } = yield* Ref.get(session)
          const messages = yield* conversation.messages
          yield* Effect.forEach(messages, writeMessage, { discard: true })
        }),
      clear: () =>
        Effect.gen(function* () {
          const { conversation } = yield* Ref.get(session)
          yield* conversation.clear
          yield* note("Removed the messages of the conversation.")
        }),
      save: (path) =>
        Effect.gen(function* () {
          if (path === "") return yield* usageFailure("/save needs a file name: /save <file>")
          const { conversation } = yield* Ref.get(session)
          const history = yield* Effect.mapError(conversation.snapshot, ({ message }) =>
            usageFailure(`The conversation cannot be saved. ${message}`)
          )
          yield* saveConversation(path, history)
          yield* note(`Saved to ${path}.`)
        }),
      load: (path) =>
        Effect.gen(function* () {
          if (path === "") return yield* usageFailure("/load needs a file name: /load <file>")
          const conversation = yield* loadConversation(path)
          yield* Ref.update(session, (before) => ({ ...before, conversation }))
          const messages = yield* conversation.messages
          yield* note(`Loaded ${messages.length} messages.`)
        })
    }

    const runCommand = (
      name: string,
      rest: string
    ): Effect.Effect<void, never, Environment | HttpClient.HttpClient> => {
      const run = Object.hasOwn(commands, name) ? commands[name] : undefined
      return run === undefined
        ? printFailure(
            usageFailure(`There is no /${name}.${didYouMean(name, Object.keys(commands))} /help lists the commands.`)
          )
        : Effect.catchAll(run(rest), printFailure)
    }

    const complete = Completion.make([...Object.keys(commands), "exit"], modelNames)
    const exit = Option.none<string>()
    const emptyInput = Option.some("")

    /** Reads one line and runs it. Succeeds with the lines that the next input continues, or with none to exit. */
    const readTurn = (
      previousLines: string
    ): Effect.Effect<Option.Option<string>, never, Environment | HttpClient.HttpClient> =>
      Effect.gen(function* () {
        const line = yield* stdin.line(previousLines === "" ? `${style("›", "bold", "cyan")} ` : "  ", complete)
        if (line._tag !== "Typed") {
          if (terminal.inputIsTerminal) yield* terminal.write("\n")
          return line._tag === "Interrupted" && previousLines !== "" ? emptyInput : exit
        }
        if (line.text.endsWith("\\")) return Option.some(`${previousLines}${line.text.slice(0, -1)}\n`)
        const text = `${previousLines}${line.text}`.trim()
        const command = parseCommand(text)
        if (Option.isNone(command)) {
          if (text !== "") yield* sendMessage(text)
          return emptyInput
        }
        const [name, rest] = command.value
        if (name === "exit" || name === "quit") return exit
        yield* runCommand(name, rest)
        return emptyInput
      })

    if (terminal.inputIsTerminal) {
      yield* note(`${llm.info.provider}/${llm.info.model} · /help for help, Ctrl-D to exit`)
    }
    yield* Effect.iterate<Option.Option<string>, Environment | HttpClient.HttpClient, never>(emptyInput, {
      while: Option.isSome,
      body: (previousLines) => readTurn(Option.getOrElse(previousLines, () => ""))
    })
  }).pipe(Effect.scoped)
