/** Renders an answer on a terminal or into a pipe, whole or while it is streamed. */
import { Effect, Stream } from "effect"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import * as ChatEvent from "../../vocabulary/ChatEvent.js"
import * as Markdown from "./markdown.js"
import type { StreamInterruptedError } from "../../vocabulary/LLMError.js"
import type { Service } from "./terminal.js"
import { Terminal } from "./terminal.js"
import { sanitize, errorStyle, outputStyle } from "./style.js"

/** Formats dollars with enough digits for small amounts. */
export const formatDollars = (dollars: number): string =>
  dollars === 0 ? "$0" : `$${dollars < 0.01 ? dollars.toPrecision(2) : dollars.toFixed(dollars < 1 ? 3 : 2)}`

export const formatDuration = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** Formats `openai/gpt-4o · 12 + 40 tokens · $0.0004 · 1.2 s`. */
export const footnote = ({ cost, finishReason, latency, model, provider, usage }: ChatResponse): string =>
  [
    sanitize(`${provider}/${model}`),
    `${usage.estimated ? "about " : ""}${usage.inputTokens} + ${usage.outputTokens} tokens`,
    ...(cost === undefined ? [] : [formatDollars(cost.total)]),
    formatDuration(latency),
    ...(finishReason === "length" ? ["cut off at its token limit"] : []),
    ...(finishReason === "pause" ? ["paused by the provider before its end"] : [])
  ].join(" · ")

/** Writes the tokens, the cost and the latency of an answer to standard error if it is a terminal. */
export const writeFootnote = (response: ChatResponse): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(Terminal, (terminal) =>
    terminal.errorIsTerminal ? terminal.writeError(`${errorStyle(terminal)(footnote(response), "dim")}\n`) : Effect.void
  )

interface Renderer {
  readonly writeText: (text: string) => Effect.Effect<void>
  readonly writeReasoning: (text: string) => Effect.Effect<void>
  /** Writes what is pending, and ends the line. */
  readonly end: Effect.Effect<void>
}

const makeRenderer = (terminal: Service, columns: number): Renderer => {
  const style = outputStyle(terminal)
  const errorText = errorStyle(terminal)
  const rendersMarkdown = terminal.outputIsTerminal && terminal.wantsLayout
  let markdown = Markdown.initial
  let lastText = "\n"
  let lastReasoning = "\n"
  const endReasoning = Effect.suspend(() => {
    if (lastReasoning.endsWith("\n")) return Effect.void
    lastReasoning = "\n"
    return terminal.writeError("\n")
  })
  const writeText = (text: string): Effect.Effect<void> => {
    const clean = terminal.outputIsTerminal ? sanitize(text) : text
    if (clean === "") return Effect.void
    lastText = clean
    if (!rendersMarkdown) return Effect.zipRight(endReasoning, terminal.write(clean))
    const [next, output] = Markdown.push(markdown, clean, style, columns)
    markdown = next
    return Effect.zipRight(endReasoning, output === "" ? Effect.void : terminal.write(output))
  }
  return {
    writeText: (text) => Effect.suspend(() => writeText(text)),
    writeReasoning: (text) =>
      Effect.suspend(() => {
        if (text === "") return Effect.void
        lastReasoning = text
        return terminal.writeError(errorText(terminal.errorIsTerminal ? sanitize(text) : text, "dim"))
      }),
    end: Effect.suspend(() => {
      const rest = rendersMarkdown ? Markdown.end(markdown, style, columns) : ""
      const line = lastText.endsWith("\n") ? "" : "\n"
      return Effect.zipRight(endReasoning, rest === "" && line === "" ? Effect.void : terminal.write(`${rest}${line}`))
    })
  }
}

const currentRenderer: Effect.Effect<Renderer, never, Terminal> = Effect.flatMap(Terminal, (terminal) =>
  Effect.map(terminal.columns, (columns) => makeRenderer(terminal, columns))
)

export interface Options {
  /** Whether to write the reasoning to standard error. */
  readonly showReasoning: boolean
}

/**
 * Writes the text of a stream as it arrives, and succeeds with the whole answer. On a terminal the text is rendered as Markdown;
 * elsewhere it is written byte by byte. `onBegin` runs before the first text, or at the end of a stream without one. However the stream ends, pending text is written and the line is ended.
 */
export const renderStream = <E, R>(
  events: Stream.Stream<ChatEvent.ChatEvent, E, R>,
  { onBegin = Effect.void, showReasoning }: Options & { readonly onBegin?: Effect.Effect<void> }
): Effect.Effect<ChatResponse, E | StreamInterruptedError, R | Terminal> =>
  Effect.flatMap(currentRenderer, ({ end, writeText, writeReasoning }) => {
    let hasBegun = false
    const begin = Effect.suspend(() => {
      if (hasBegun) return Effect.void
      hasBegun = true
      return onBegin
    })
    const writeEvent = (event: ChatEvent.ChatEvent): Effect.Effect<void> => {
      switch (event._tag) {
        case "TextDelta":
        case "RefusalDelta":
          return Effect.zipRight(begin, writeText(event.text))
        case "ReasoningDelta":
          return showReasoning ? Effect.zipRight(begin, writeReasoning(event.text)) : Effect.void
        default:
          return Effect.void
      }
    }
    return ChatEvent.collect(Stream.tap(events, writeEvent)).pipe(Effect.ensuring(begin), Effect.ensuring(end))
  })

/** Writes a text like that of an answer. */
export const renderText = (text: string): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(currentRenderer, ({ end, writeText }) => Effect.ensuring(writeText(text), end))

/** Writes a whole answer like its stream. */
export const renderResponse = (
  response: ChatResponse,
  { showReasoning }: Options
): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(currentRenderer, ({ end, writeText, writeReasoning }) => {
    return Effect.ensuring(
      Effect.zipRight(
        showReasoning ? writeReasoning(response.reasoning) : Effect.void,
        writeText(response.text === "" ? response.refusal : response.text)
      ),
      end
    )
  })
