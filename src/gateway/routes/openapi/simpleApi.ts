/** The schemas of the simple API. */
import { Schema } from "effect"

export const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

export const Objects = Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

export const SimpleError = Schema.Struct({ error: Schema.String }).annotations({
  identifier: "SimpleError",
  description: "An error of the simple API."
})

export const KeyShare = {
  key: Schema.String.annotations({ description: "The id of the key, never the key itself." }),
  weight: Schema.Number
}

const KeyInUse = Schema.Struct({ ...KeyShare, current: Schema.Number }).annotations({ identifier: "KeyInUse" })

const Max = Schema.NullOr(Schema.Number).annotations({ description: "null: not limited" })

export const ModelLoad = Schema.Struct({
  type: Schema.Literal("concurrency", "qps"),
  current: Schema.Number,
  max: Max,
  weight: Schema.Number,
  keys: Schema.Array(KeyInUse)
}).annotations({ identifier: "ModelLoad" })

export const KeyLoad = Schema.Struct({ ...KeyShare, current: Schema.Number, max: Max }).annotations({
  identifier: "KeyLoad"
})

export const SystemLoad = Schema.Struct({ load_percent: Schema.Number }).annotations({ identifier: "SystemLoad" })

export const SystemCapacity = Schema.Struct({
  total_max: Schema.Struct({ concurrency: Schema.Number, qps: Schema.Number }),
  details: Schema.Record({ key: Schema.String, value: ModelLoad })
}).annotations({ identifier: "SystemCapacity" })

export const Health = Schema.Struct({
  status: Schema.String,
  timestamp: Schema.String.pipe(Schema.pattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/))
}).annotations({ identifier: "Health" })

export const SimpleAnswer = Schema.Struct({
  result: Schema.NullOr(Schema.String),
  tool_calls: optional(Objects)
}).annotations({ identifier: "SimpleAnswer", description: "`result` is null if the model only calls tools." })
