/** An answer as it is written, for a person or for a pipe. */
import { Effect, Stream } from "effect"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import * as ChatEvent from "../../vocabulary/ChatEvent.js"
import * as Markdown from "./markdown.js"
import type { StreamInterruptedError } from "../../vocabulary/LLMError.js"
import type { Service } from "./screen.js"
import { Screen } from "./screen.js"
import { harmless, ofError, ofOutput } from "./style.js"

/** How amounts of money are written: enough digits that a cheap answer is not nothing. */
export const money = (dollars: number): string =>
  dollars === 0 ? "$0" : `$${dollars < 0.01 ? dollars.toPrecision(2) : dollars.toFixed(dollars < 1 ? 3 : 2)}`

export const seconds = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** `openai/gpt-4o · 12 + 40 tokens · $0.0004 · 1.2 s` */
export const footnote = ({ cost, finishReason, latency, model, provider, usage }: ChatResponse): string =>
  [
    harmless(`${provider}/${model}`),
    `${usage.estimated ? "about " : ""}${usage.inputTokens} + ${usage.outputTokens} tokens`,
    ...(cost === undefined ? [] : [money(cost.total)]),
    seconds(latency),
    ...(finishReason === "length" ? ["cut off at its token limit"] : [])
  ].join(" · ")

/** What an answer took, for a person who watches. */
export const tellFootnote = (response: ChatResponse): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, (screen) =>
    screen.errorIsTerminal ? screen.tell(`${ofError(screen)(footnote(response), "dim")}\n`) : Effect.void
  )

interface Voice {
  readonly says: (text: string) => Effect.Effect<void>
  readonly thinks: (text: string) => Effect.Effect<void>
  /** Shows what was held back, and ends the line. */
  readonly ends: Effect.Effect<void>
}

/** `columns`: how wide the terminal is. */
const voice = (screen: Service, columns: number): Voice => {
  const style = ofOutput(screen)
  const dim = ofError(screen)
  const isForPeople = screen.outputIsTerminal && screen.wantsColour
  let markdown = Markdown.initial
  let lastText = "\n"
  let lastThought = "\n"
  const endsThought = Effect.suspend(() => {
    if (lastThought.endsWith("\n")) return Effect.void
    lastThought = "\n"
    return screen.tell("\n")
  })
  const says = (text: string): Effect.Effect<void> => {
    const spoken = screen.outputIsTerminal ? harmless(text) : text
    if (spoken === "") return Effect.void
    lastText = spoken
    if (!isForPeople) return Effect.zipRight(endsThought, screen.write(spoken))
    const [next, shown] = Markdown.push(markdown, spoken, style, columns)
    markdown = next
    return Effect.zipRight(endsThought, shown === "" ? Effect.void : screen.write(shown))
  }
  return {
    says: (text) => Effect.suspend(() => says(text)),
    thinks: (text) =>
      Effect.suspend(() => {
        if (text === "") return Effect.void
        lastThought = text
        return screen.tell(dim(screen.errorIsTerminal ? harmless(text) : text, "dim"))
      }),
    ends: Effect.suspend(() => {
      const rest = isForPeople ? Markdown.end(markdown, style, columns) : ""
      const line = lastText.endsWith("\n") ? "" : "\n"
      return Effect.zipRight(endsThought, rest === "" && line === "" ? Effect.void : screen.write(`${rest}${line}`))
    })
  }
}

const voiceHere: Effect.Effect<Voice, never, Screen> = Effect.flatMap(Screen, (screen) =>
  Effect.map(screen.columns, (columns) => voice(screen, columns))
)

export interface Options {
  /** Whether thoughts are told, on the standard error. */
  readonly thoughts: boolean
}

/**
 * Shows the text of a stream as it comes, and gives the whole answer. On a terminal it is read as Markdown; elsewhere it is what
 * the model wrote, byte by byte. Whatever ends it, what was held back is shown and the line is ended.
 */
export const speak = <E, R>(
  events: Stream.Stream<ChatEvent.ChatEvent, E, R>,
  { thoughts }: Options
): Effect.Effect<ChatResponse, E | StreamInterruptedError, R | Screen> =>
  Effect.flatMap(voiceHere, ({ ends, says, thinks }) => {
    const heard = (event: ChatEvent.ChatEvent): Effect.Effect<void> => {
      switch (event._tag) {
        case "TextDelta":
        case "RefusalDelta":
          return says(event.text)
        case "ReasoningDelta":
          return thoughts ? thinks(event.text) : Effect.void
        default:
          return Effect.void
      }
    }
    return Effect.ensuring(ChatEvent.collect(Stream.tap(events, heard)), ends)
  })

/** A whole answer, shown as its stream would be. */
export const show = (response: ChatResponse, { thoughts }: Options): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(voiceHere, ({ ends, says, thinks }) => {
    return Effect.ensuring(
      Effect.zipRight(
        thoughts ? thinks(response.reasoning) : Effect.void,
        says(response.text === "" ? response.refusal : response.text)
      ),
      ends
    )
  })
