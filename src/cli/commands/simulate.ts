/** `effect-llm simulate`: a provider on this machine that does what it is told. */
import { Command, Options } from "@effect/cli"
import { Effect, Either, Option } from "effect"
import * as SimulatedProvider from "../../testing/SimulatedProvider.js"
import type { CliFailure } from "../failure.js"
import { unusable } from "../failure.js"
import { printJson } from "../output.js"
import { Screen } from "../terminal/screen.js"
import { ofError } from "../terminal/style.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"

const options = {
  port: Options.integer("port").pipe(
    Options.withAlias("p"),
    Options.withDescription("The port on the loopback interface; 0 for any that is free."),
    Options.withDefault(0)
  ),
  key: Options.text("key").pipe(
    Options.withDescription(
      "A key that is known; any other gets a 401. Without it every key is good. May be repeated."
    ),
    Options.repeated
  ),
  latency: Options.text("latency").pipe(
    Options.withPseudoName("ms"),
    Options.withDescription("Milliseconds before the first byte: 200, or 100-400 for any between them."),
    Options.withDefault("0")
  ),
  pace: Options.text("pace").pipe(
    Options.withPseudoName("ms"),
    Options.withDescription("Milliseconds between the words of a stream: 20, or 10-40."),
    Options.withDefault("0")
  ),
  fault: Options.text("fault").pipe(
    Options.withPseudoName("what@share"),
    Options.withDescription(
      "What goes wrong with which share of the requests: a status as in 429@0.1, or reset, truncate, garbage, hang or " +
        "drip as in reset@0.05. May be repeated."
    ),
    Options.repeated
  ),
  answer: Options.text("answer").pipe(
    Options.withDescription("What every question is answered with. Without it, the question."),
    Options.optional
  ),
  json: Shared.json
}

const faults: Readonly<Record<string, SimulatedProvider.Fault>> = {
  reset: SimulatedProvider.reset(2),
  truncate: SimulatedProvider.truncate(2),
  garbage: SimulatedProvider.garbage,
  hang: SimulatedProvider.hang(),
  drip: SimulatedProvider.drip
}

interface Share {
  readonly fault: SimulatedProvider.Fault
  readonly share: number
}

const shareOf = (text: string): Either.Either<Share, CliFailure> => {
  const [, what = "", amount = "1"] = /^([^@]+)(?:@(.+))?$/.exec(text) ?? []
  const share = Number(amount)
  const status = Number(what)
  const fault =
    Number.isInteger(status) && status >= 400 && status < 600
      ? SimulatedProvider.status(status)
      : Object.hasOwn(faults, what)
        ? faults[what]
        : undefined
  return fault !== undefined && share > 0 && share <= 1
    ? Either.right({ fault, share })
    : Either.left(unusable(`--fault ${text}: expected such as 429@0.1, or one of ${Object.keys(faults).join(", ")}.`))
}

const delayOf = (name: string, text: string): Either.Either<SimulatedProvider.Delay, CliFailure> => {
  const [, least, most] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  if (least === undefined)
    return Either.left(unusable(`--${name} ${text}: expected milliseconds, such as 200 or 100-400.`))
  return Either.right(most === undefined ? Number(least) : { min: Number(least), max: Number(most) })
}

/** Exactly the share of the requests, spread evenly: one in ten is the tenth, the twentieth and so on. */
const isHit = (index: number, share: number): boolean =>
  Math.floor((index + 1) * share + 1e-9) > Math.floor(index * share + 1e-9)

/** A file that makes programs ask the simulated provider. */
const fileFor = (baseUrl: string, keys: ReadonlyArray<string>) => ({
  openai: [
    {
      model_name: "simulated",
      api_keys: keys.length === 0 ? ["any"] : keys,
      base_url: baseUrl,
      rate_limit_capacity: 1_000_000,
      rate_limit_refill_rate: 1_000_000
    }
  ]
})

const summary =
  "Starts a provider on this machine that speaks every protocol, costs nothing and fails on demand. Its base URL is the first line it prints."

export const simulate = Command.make("simulate", options, (given) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const latency = yield* delayOf("latency", given.latency)
    const tokenPace = yield* delayOf("pace", given.pace)
    const shares = yield* Effect.forEach(given.fault, shareOf)
    const { answer } = given
    const provider = yield* Effect.mapError(
      SimulatedProvider.listen({
        port: given.port,
        latency,
        tokenPace,
        ...(given.key.length === 0 ? {} : { keys: given.key.map((key) => ({ key })) }),
        ...(Option.isSome(answer) ? { answer: () => answer.value } : {}),
        faults: (index) => shares.find(({ share }) => isHit(index, share))?.fault
      }),
      ({ message }) => unusable(message)
    )
    const file = fileFor(provider.baseUrl, given.key)
    if (given.json) {
      yield* printJson({ baseUrl: provider.baseUrl, file })
    } else {
      yield* screen.write(`${provider.baseUrl}\n`)
      yield* screen.tell(
        `${ofError(screen)("A provider.json that uses it:", "dim")}\n${JSON.stringify(file, undefined, 2)}\n` +
          `${ofError(screen)("Ctrl-C stops it.", "dim")}\n`
      )
    }
    return yield* Effect.never
  }).pipe(Effect.scoped)
).pipe(Command.withDescription(summary))

export const page = Help.page(["simulate"], summary, simulate, [
  "effect-llm simulate --port 8080 --latency 100-400 --pace 20",
  "effect-llm simulate --key good --fault 429@0.1 --fault reset@0.02"
])
