/** The prices of most providers' models, where the package that knows them is installed. */
import { Effect, Layer } from "effect"
import type { Pricing } from "../Pricing.js"

/** Without the package nothing is priced, and nothing is said of it. */
export const layer: Layer.Layer<never> | Layer.Layer<Pricing> = Layer.unwrapEffect(
  Effect.match(
    Effect.tryPromise(() => import("../prices/index.js")),
    {
      onFailure: () => Layer.empty,
      onSuccess: ({ Prices }): Layer.Layer<never> | Layer.Layer<Pricing> => Prices.layer()
    }
  )
)
