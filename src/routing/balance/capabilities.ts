/** What a request asks of a deployment, and whether a deployment is known to lack it. */
import { Array, Effect, Option, Order } from "effect"
import type { Capabilities } from "./model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Service as Counter } from "../../tokens/counter.js"
import * as ContextFit from "../../call/contextFit.js"

/** What is known of a deployment. */
export interface Able {
  readonly provider: string
  readonly model: string
  readonly contextWindow: number
  readonly order: number
  readonly capabilities: Capabilities
}

/** What a request needs and a deployment lacks, by position, in words. */
export type Lacks = ReadonlyMap<number, Lack>

export interface Lack {
  readonly feature: string
  /** Whether the request is merely too long. */
  readonly isLength: boolean
}

type Feature = Exclude<keyof Capabilities, "contextWindow" | "embeddings">

const words: Record<Feature, string> = {
  chat: "chat",
  tools: "tools",
  images: "images",
  audio: "audio",
  files: "files",
  jsonSchema: "answers by a JSON Schema"
}

const media = { image: "images", audio: "audio", file: "files" } as const

/** What a request asks for, beside text. */
export const featuresOf = (request: ChatRequest): ReadonlySet<Feature> => {
  const features = new Set<Feature>(["chat"])
  if ((request.tools ?? []).length > 0) features.add("tools")
  if (typeof request.responseFormat === "object") features.add("jsonSchema")
  for (const { content } of request.messages) {
    if (typeof content === "string") continue
    for (const { type } of content)
      if (type !== "text" && type !== "reasoning" && type !== "native") features.add(media[type])
  }
  return features
}

const none: Lacks = new Map()

/** A request that names a model is for the deployments of that model, if there are any: the others may not know it. */
const ofOtherModels = (able: ReadonlyArray<Able>, model: string | undefined): Map<number, Lack> => {
  const lacks = new Map<number, Lack>()
  if (model === undefined || !able.some((one) => one.model === model)) return lacks
  for (const [position, one] of able.entries()) {
    if (one.model !== model) lacks.set(position, { feature: `the model ${model}`, isLength: false })
  }
  return lacks
}

/** How the deployments are judged, with all that can be known beforehand. */
export const judge = (able: ReadonlyArray<Able>, counter: Counter) => {
  const smallest = Math.min(...able.map((one) => one.contextWindow))
  const isDeclared = able.some(({ capabilities }) => Object.values(capabilities).includes(false))

  /** The vectors of one model mean nothing among those of another: all must come from one family. */
  const families = able.map(({ capabilities, model }) =>
    typeof capabilities.embeddings === "string" ? capabilities.embeddings : model
  )
  const inOrder = Array.sort(
    able.keys(),
    Order.mapInput(Order.number, (position: number) => able[position]?.order ?? 0)
  )

  const ofChat = (request: ChatRequest): Effect.Effect<Lacks> =>
    Effect.suspend(() => {
      const features = isDeclared ? featuresOf(request) : new Set<Feature>()
      const isShort = ContextFit.bound(request, 0) <= smallest
      if (request.model === undefined && !isDeclared && isShort) return Effect.succeed(none)
      const lacks = ofOtherModels(able, request.model)
      for (const [position, { capabilities }] of able.entries()) {
        for (const feature of features) {
          if (capabilities[feature] === false && !lacks.has(position)) {
            lacks.set(position, { feature: words[feature], isLength: false })
          }
        }
      }
      return isShort ? Effect.succeed(lacks) : Effect.as(tooLong(request, lacks), lacks)
    })

  const tooLong = (request: ChatRequest, lacks: Map<number, Lack>): Effect.Effect<void> =>
    Effect.forEach(
      able.entries(),
      ([position, { contextWindow, model }]) =>
        // Another model than its own has a window that is not known.
        lacks.has(position) || (request.model !== undefined && request.model !== model)
          ? Effect.void
          : Effect.map(ContextFit.excess(counter, request, model, contextWindow, {}), (excess) => {
              if (Option.isNone(excess)) return
              const feature = `a context window of more than ${contextWindow.toLocaleString("en-US")} tokens`
              lacks.set(position, { feature, isLength: true })
            }),
      { discard: true }
    )

  const ofEmbedding = (model: string | undefined): Lacks => {
    const lacks = ofOtherModels(able, model)
    const isAble = (position: number): boolean =>
      able[position]?.capabilities.embeddings !== false && !lacks.has(position)
    const first = inOrder.find(isAble)
    const family = first === undefined ? undefined : families[first]
    for (const position of able.keys()) {
      if (!isAble(position)) {
        if (!lacks.has(position)) lacks.set(position, { feature: "embeddings", isLength: false })
      } else if (families[position] !== family && model === undefined) {
        lacks.set(position, { feature: `embeddings of the family ${family}`, isLength: false })
      }
    }
    return lacks
  }

  return { ofChat, ofEmbedding }
}
