/** The prices of most providers' models, bundled with the program and loaded only by commands that need models. */
import { Effect, Layer } from "effect"
import type { Pricing } from "../../accounting/pricing/model.js"

export const layer: Layer.Layer<Pricing> = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => import("../../accounting/prices/index.js")),
    ({ Prices }) => Prices.layer()
  )
)
