/** What the gateway serves, in its first log lines. */
import { HttpServer } from "@effect/platform"
import { Clock, Effect, Layer, Option } from "effect"
import * as Pricing from "../../accounting/Pricing.js"
import * as Access from "../../gateway/Access.js"
import * as Models from "../../models/Models.js"

/** The most models that the line lists. */
const maxListed = 10

const listed = (names: ReadonlyArray<string>): string =>
  names.length <= maxListed
    ? names.join(", ")
    : `${names.slice(0, maxListed).join(", ")} and ${names.length - maxListed} more`

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? "" : "s"}`

/** Logs the pages, the models, their prices and the access, once the server in context serves. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const server = yield* HttpServer.HttpServer
    const models = yield* Models.Models
    const access = yield* Access.Access
    const prices = yield* Pricing.Pricing
    const at = yield* Clock.currentTimeMillis
    const address = HttpServer.formatAddress(server.address)
    yield* Effect.logInfo(`Dashboard: ${address}/   API: ${address}/docs`)

    const chosen = yield* Effect.option(models.default)
    const defaultName = Option.match(chosen, {
      onNone: () => "no default",
      onSome: ({ info }) => `default ${info.provider}/${info.model}`
    })
    yield* Effect.logInfo(
      `${count(models.list.length, "model")} (${defaultName}): ${listed(models.list.map(({ name }) => name))}`
    )

    const unpriced = models.list.filter(
      ({ members, model, price, provider }) =>
        members === undefined && price === undefined && Option.isNone(prices.priceOf({ provider, model, at }))
    )
    yield* Effect.logInfo(
      unpriced.length === 0
        ? "The prices of all models are known."
        : `The price of ${listed(unpriced.map(({ name }) => name))} is not known, so that their calls have no cost: set "price" in the model file.`
    )

    const keys = yield* Effect.option(access.list)
    yield* Effect.logInfo(
      access.isOpen
        ? "Access: open to this machine, because no key is configured. EFFECT_LLM_GATEWAY_KEYS or --keys sets keys."
        : `Access: with a key${Option.match(keys, { onNone: () => "", onSome: (all) => ` (${count(all.length, "client key")})` })}.`
    )
  })
)
