/**
 * The same requests to every provider, over real sockets and reached by configuration alone, must be decoded and answered alike.
 * The tables of providers in the documents contain the results; `UPDATE_MATRIX=1` writes them.
 */
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, Layer } from "effect"
import { baseUrlVariable, keyVariable } from "../src/provider/environment.js"
import { hasBaseUrl } from "../src/provider/registry.js"
import * as LLM from "../src/LLM.js"
import { expectSection, listing, matrix } from "./matrix/documents.js"
import { compare, withProvider } from "./matrix/exchange.js"
import { bestWay, nameOf, providers } from "./matrix/providers.js"
import { ada, scenarios } from "./matrix/scenarios.js"
import * as Transports from "./support/transports.js"

/** The exchanges with each provider, made once by the first test that needs them. */
const findings = providers.map((provider) => {
  const exchanges = withProvider(provider).pipe(Effect.scoped, Effect.provide(Transports.direct))
  return { provider, exchanges: Effect.runSync(Effect.cached(exchanges)) }
})

for (const { exchanges, provider } of findings) {
  describe(nameOf(provider), () => {
    for (const scenario of scenarios) {
      it.live(`${scenario.name}: the server reads the request and the client the answer, whole and streamed`, () =>
        Effect.gen(function* () {
          const exchange = yield* Effect.fromNullable((yield* exchanges).ofScenario.get(scenario.name))
          const { found, wanted } = compare(provider, scenario, exchange)
          expect(found).toStrictEqual(wanted)
        })
      )
    }

    it.live("returns a structured value, with the best mode of the provider", () =>
      Effect.gen(function* () {
        const { value, way } = yield* exchanges
        expect(value).toEqual(Either.right(ada))
        expect(way).toBe(bestWay(provider))
      })
    )

    it.effect("is found by its name with a key from the environment", () =>
      Effect.gen(function* () {
        const environment = new Map([
          [keyVariable(provider.provider), "secret"],
          // The address of an account of one's own is part of no preset.
          ...(hasBaseUrl(provider.provider, provider.protocol)
            ? []
            : [[baseUrlVariable(provider.provider), "https://acme.example/v1"] as const])
        ])
        const { info } = yield* LLM.LLM.pipe(
          Effect.provide(
            LLM.layerConfig({ provider: provider.provider, wire: provider.protocol, model: provider.model })
          ),
          Effect.provide(Transports.direct),
          Effect.provide(Layer.setConfigProvider(ConfigProvider.fromMap(environment)))
        )
        expect([info.provider, info.wire]).toEqual([provider.provider, provider.protocol])
      })
    )
  })
}

describe("calls over the portable transport", () => {
  // One provider of each protocol; the decoding of an answer does not depend on the transport.
  const firsts = providers.filter(({ protocol }, index) => {
    return providers.findIndex((other) => other.protocol === protocol) === index
  })

  for (const provider of firsts) {
    it.scopedLive(`all scenarios of ${nameOf(provider)} have the same results as over the direct transport`, () =>
      Effect.gen(function* () {
        const { ofScenario, value } = yield* withProvider(provider)
        for (const scenario of scenarios) {
          const exchange = yield* Effect.fromNullable(ofScenario.get(scenario.name))
          const { found, wanted } = compare(provider, scenario, exchange)
          expect(found, scenario.name).toStrictEqual(wanted)
        }
        expect(value).toEqual(Either.right(ada))
      }).pipe(Effect.provide(Transports.portable))
    )
  }
})

describe("provider tables in the documents", () => {
  it.live.each([
    ["docs/providers.md", "matrix", matrix],
    ["docs/providers.md", "providers", listing]
  ] as const)("%s contains the table of tested providers: %s", ([path, name, write]) =>
    expectSection(
      path,
      name,
      Effect.map(
        Effect.forEach(findings, ({ exchanges, provider }) =>
          Effect.map(exchanges, (found) => [provider, found] as const)
        ),
        write
      )
    )
  )
})
