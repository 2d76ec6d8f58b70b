/** `effect-llm simulate`: runs a simulated provider on this machine. */
import { Effect, Either, Option } from "effect"
import * as SimulatedProvider from "../../testing/SimulatedProvider.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"
import { faults, isFault } from "../simulation/faults.js"
import * as Script from "../simulation/script.js"
import { printJson } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import { errorStyle } from "../terminal/style.js"
import type { Arguments } from "../definitions/simulate.js"

interface FaultShare {
  readonly fault: SimulatedProvider.Fault
  readonly share: number
}

const parseShare = (text: string): Either.Either<FaultShare, CliFailure> => {
  const [, what = "", amount = "1"] = /^([^@]+)(?:@(.+))?$/.exec(text) ?? []
  const share = Number(amount)
  const status = Number(what)
  const fault =
    Number.isInteger(status) && status >= 400 && status < 600
      ? SimulatedProvider.status(status)
      : isFault(what)
        ? faults[what]
        : undefined
  return fault !== undefined && share > 0 && share <= 1
    ? Either.right({ fault, share })
    : Either.left(
        usageFailure(`--fault ${text}: expected a value such as 429@0.1, or one of ${Object.keys(faults).join(", ")}.`)
      )
}

const parseDelay = (name: string, text: string): Either.Either<SimulatedProvider.Delay, CliFailure> => {
  const [, least, most] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  if (least === undefined)
    return Either.left(usageFailure(`--${name} ${text}: expected milliseconds, such as 200 or 100-400.`))
  return Either.right(most === undefined ? Number(least) : { min: Number(least), max: Number(most) })
}

/** Selects exactly the share of the requests, evenly spread: with 0.1, the tenth, the twentieth and so on. */
const hasFault = (index: number, share: number): boolean =>
  Math.floor((index + 1) * share + 1e-9) > Math.floor(index * share + 1e-9)

/** The content of a provider.json for the simulated provider. */
const configurationFor = (baseUrl: string, keys: ReadonlyArray<string>) => ({
  openai: [
    {
      model_name: "simulated",
      api_keys: keys.length === 0 ? ["any"] : keys,
      base_url: baseUrl,
      rate_limit_capacity: null
    }
  ]
})

export const run = (args: Arguments) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const latency = yield* parseDelay("latency", args.latency)
    const tokenPace = yield* parseDelay("pace", args.pace)
    const shares = yield* Effect.forEach(args.fault, parseShare)
    const { answer } = args
    const script = Option.isSome(args.script) ? yield* Script.load(args.script.value) : []
    const provider = yield* Effect.mapError(
      SimulatedProvider.listen({
        port: args.port,
        latency,
        tokenPace,
        script,
        ...(args.key.length === 0 ? {} : { keys: args.key.map((key) => ({ key })) }),
        ...(Option.isSome(answer) ? { answer: () => answer.value } : {}),
        faults: (index) => shares.find(({ share }) => hasFault(index, share))?.fault
      }),
      ({ message }) => usageFailure(message)
    )
    const file = configurationFor(provider.baseUrl, args.key)
    if (args.json) {
      yield* printJson({ baseUrl: provider.baseUrl, file })
    } else {
      yield* terminal.write(`${provider.baseUrl}\n`)
      yield* terminal.writeError(
        `${errorStyle(terminal)("For programs that read the environment:", "dim")}\n` +
          `export OPENAI_API_KEY=${args.key[0] ?? "any"} OPENAI_BASE_URL=${provider.baseUrl}\n` +
          `${errorStyle(terminal)("A provider.json that uses it:", "dim")}\n${JSON.stringify(file, undefined, 2)}\n` +
          `${errorStyle(terminal)("Ctrl-C stops it.", "dim")}\n`
      )
    }
    return yield* Effect.never
  }).pipe(Effect.scoped)
