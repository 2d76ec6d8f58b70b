/** A line that shows what a call waits for, redrawn on standard error until its answer begins. */
import { Clock, Effect, Fiber, Ref, Scope } from "effect"
import { CurrentAttemptObserver } from "../../call/callLog.js"
import { CurrentWaitObserver, type Wait } from "../../call/waits.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { errorStyle, sanitize } from "./style.js"
import type { Service } from "./terminal.js"
import { Terminal } from "./terminal.js"

export interface Waiting {
  /** Shows the line while the call runs, and what the call tells of its attempts and waits. */
  readonly during: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Removes the line: the answer begins. */
  readonly stop: Effect.Effect<void>
}

export interface Options {
  readonly quiet: boolean
  /** Such as `openai/gpt-4o`. */
  readonly model: string
  /** The most attempts of a call, if it is known. */
  readonly attempts: number | undefined
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

/** Between two frames, and before the first one, so that a fast answer shows none. In milliseconds. */
const interval = 100

/** Returns to the start of the line and erases it (ECMA-48: CR, EL). */
const erase = "\r\u001b[K"

const systemCodes: ReadonlyArray<readonly [RegExp, string]> = [
  [/ECONNREFUSED/, "connection refused"],
  [/ECONNRESET|UND_ERR_SOCKET/, "connection reset"],
  [/ENOTFOUND|EAI_AGAIN/, "host not found"],
  [/ETIMEDOUT|CONNECT_TIMEOUT/, "connection timed out"]
]

/** The failure in a few words. */
export const reasonOf = (error: LLMError): string => {
  switch (error._tag) {
    case "NetworkError":
      return systemCodes.find(([code]) => code.test(error.message))?.[1] ?? "connection failed"
    case "TimeoutError":
      return "timed out"
    case "RateLimitError":
      return error.source === "provider" ? "rate limited by the provider" : "rate limit"
    case "QuotaExceededError":
      return "quota exceeded"
    case "AuthenticationError":
      return "key rejected"
    default: {
      const words = error._tag
        .replace(/Error$/, "")
        .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
        .toLowerCase()
      return error.status === undefined ? words : `${words} (${error.status})`
    }
  }
}

const waitText: Readonly<Record<Wait["source"], string>> = {
  limiter: "waiting for the rate limit of the model file",
  pool: "waiting for a key"
}

/** What the line shows. */
interface State {
  readonly text: string
  /** The reason of a pause, and its end in milliseconds since the epoch. */
  readonly pause: { readonly reason: string; readonly until: number } | undefined
}

const lineOf = ({ pause, text }: State, now: number, startedAt: number): string => {
  const left = pause === undefined ? 0 : pause.until - now
  if (pause !== undefined && left > 0) return `${text} in ${Math.ceil(left / 1000)} s: ${pause.reason}`
  const seconds = Math.floor((now - startedAt) / 1000)
  return seconds < 1 ? text : `${text} · ${seconds} s`
}

const none: Waiting = { during: (call) => call, stop: Effect.void }

const onTerminal = (terminal: Service, { attempts, model }: Options): Effect.Effect<Waiting, never, Scope.Scope> =>
  Effect.gen(function* () {
    const style = errorStyle(terminal)
    const startedAt = yield* Clock.currentTimeMillis
    const state = yield* Ref.make<State>({ text: model, pause: undefined })
    const isShown = yield* Ref.make(false)
    const isOver = yield* Ref.make(false)

    const draw = (count: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        const line = lineOf(yield* Ref.get(state), yield* Clock.currentTimeMillis, startedAt)
        // A wrapped line cannot be redrawn.
        const text = sanitize(line).slice(0, Math.max(0, (yield* terminal.columns) - 3))
        yield* Ref.set(isShown, true)
        yield* terminal.writeError(`${erase}${style(`${frames[count % frames.length]} ${text}`, "dim")}`)
      })
    const spin = (count: number): Effect.Effect<void> =>
      Effect.flatMap(Effect.delay(draw(count), interval), () => spin(count + 1))
    const fiber = yield* Effect.forkScoped(Effect.suspend(() => spin(0)))
    const clear = Effect.flatMap(Ref.getAndSet(isShown, false), (shown) =>
      shown ? terminal.writeError(erase) : Effect.void
    )
    const stop = Ref.set(isOver, true).pipe(Effect.zipRight(Fiber.interrupt(fiber)), Effect.zipRight(clear))
    // Also when the call is interrupted.
    yield* Effect.addFinalizer(() => stop)

    const onAttempt: NonNullable<Effect.Effect.Success<typeof CurrentAttemptObserver>> = ({ error, wait }) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const next = error.attempts.length + 1
        const of = attempts === undefined || attempts < next ? "" : ` of ${attempts}`
        const pause = { reason: reasonOf(error), until: now + wait }
        yield* Ref.set(state, { text: `${model} · attempt ${next}${of}`, pause })
        // At once, so that a short pause is seen too.
        if (wait > 0 && !(yield* Ref.get(isOver))) yield* draw(0)
      })
    return {
      during: (call) =>
        call.pipe(
          Effect.provideService(CurrentAttemptObserver, onAttempt),
          Effect.provideService(CurrentWaitObserver, ({ source }, wait) =>
            Effect.flatMap(
              Ref.getAndSet(state, { text: `${model} · ${waitText[source]}`, pause: undefined }),
              (before) => Effect.ensuring(wait, Ref.set(state, before))
            )
          )
        ),
      stop
    }
  })

/** Makes the line, which is removed when the effect that uses it ends. Shows nothing where standard error is not a terminal, on one that cannot redraw a line, and with `quiet`. */
export const use = <A, E, R>(
  options: Options,
  run: (waiting: Waiting) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Terminal> =>
  Effect.flatMap(Terminal, (terminal) =>
    terminal.errorIsTerminal && terminal.wantsLayout && !options.quiet
      ? Effect.acquireUseRelease(
          Scope.make(),
          (scope) => Effect.flatMap(Scope.extend(onTerminal(terminal, options), scope), run),
          Scope.close
        )
      : run(none)
  )
