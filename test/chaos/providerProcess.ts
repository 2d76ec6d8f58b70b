/** The process of the providers, so that their memory and work are not measured as the library's. */
import { Effect, Schema } from "effect"
import * as Provider from "./provider.js"

const Plan = Schema.parseJson(Schema.Struct({ calls: Schema.Number, seed: Schema.Number }))

Effect.runFork(
  Effect.scoped(
    Schema.decode(Plan)(process.argv[2] ?? "").pipe(Effect.flatMap(Provider.make), Effect.flatMap(Provider.listen))
  )
)

process.on("disconnect", () => process.exit(0))
