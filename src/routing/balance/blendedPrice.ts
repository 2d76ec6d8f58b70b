/** What a model costs at large, to compare it with others. */
import { Option } from "effect"
import type { ModelInfo } from "../../call/model.js"
import { cost } from "../../accounting/pricing/cost.js"
import type { Service } from "../../accounting/pricing/model.js"
import * as Usage from "../../vocabulary/Usage.js"

/** A short request, so that no rate for long ones applies. */
const mixed = Usage.make({ inputTokens: 750, outputTokens: 250 })

/** What models that say nothing consume, such as those of embeddings: their output has no price. */
const heard = Usage.make({ inputTokens: 1000, outputTokens: 0 })

/** Dollars a million tokens, three of input to one of output. */
export const blendedPrice = (
  service: Service,
  { model, price, provider }: ModelInfo,
  at: number
): Option.Option<number> =>
  Option.fromNullable(price).pipe(
    Option.orElse(() => service.priceOf({ provider, model, at })),
    Option.flatMap((price) => cost(price, price.output === undefined ? heard : mixed)),
    Option.map(({ total }) => total * 1000)
  )
