/** The capabilities that a request needs, and which deployments are known to lack them. */
import { Array, Effect, Option, Order } from "effect"
import type { Capabilities } from "./model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Service as Counter } from "../../tokens/counter.js"
import * as ContextFit from "../../call/contextFit.js"

export interface DeploymentCapabilities {
  readonly model: string
  readonly contextWindow: number
  readonly order: number
  /** Vectors of different models cannot be compared: all must come from one family. */
  readonly embeddingFamily: string
  readonly capabilities: Capabilities
}

/** The capability that a request needs and a deployment lacks, by position. */
export type MissingCapabilities = ReadonlyMap<number, MissingCapability>

export interface MissingCapability {
  /** Its name, for messages. */
  readonly name: string
  /** Whether the request exceeds the context window. */
  readonly isLength: boolean
}

type Flag = Exclude<keyof Capabilities, "contextWindow" | "embeddings">

const names: Record<Flag, string> = {
  chat: "chat",
  tools: "tools",
  images: "images",
  audio: "audio",
  files: "files",
  jsonSchema: "answers by a JSON Schema"
}

const flagsOfParts: ReadonlyMap<string, Flag> = new Map([
  ["image", "images"],
  ["audio", "audio"],
  ["file", "files"]
])

/** The capabilities that a request needs. */
const neededBy = (request: ChatRequest): ReadonlySet<Flag> => {
  const flags = new Set<Flag>(["chat"])
  if ((request.tools ?? []).length > 0) flags.add("tools")
  if (typeof request.responseFormat === "object") flags.add("jsonSchema")
  for (const { content } of request.messages) {
    if (typeof content === "string") continue
    for (const { type } of content) {
      const flag = flagsOfParts.get(type)
      if (flag !== undefined) flags.add(flag)
    }
  }
  return flags
}

const noFlags: ReadonlySet<Flag> = new Set()

const noneMissing: MissingCapabilities = new Map()

/** A request that names a model goes to the deployments of that model, if there are any: the others might not have it. */
const missingModel = (
  deployments: ReadonlyArray<DeploymentCapabilities>,
  model: string | undefined
): Map<number, MissingCapability> => {
  const missing = new Map<number, MissingCapability>()
  if (model === undefined || !deployments.some((one) => one.model === model)) return missing
  for (const [position, one] of deployments.entries()) {
    if (one.model !== model) missing.set(position, { name: `the model ${model}`, isLength: false })
  }
  return missing
}

/** The checks for a list of deployments, with all that does not depend on the request computed beforehand. */
export const make = (deployments: ReadonlyArray<DeploymentCapabilities>, counter: Counter) => {
  const smallest = Math.min(...deployments.map((one) => one.contextWindow))
  const isDeclared = deployments.some(({ capabilities }) => Object.values(capabilities).includes(false))

  const families = deployments.map((one) => one.embeddingFamily)
  const byOrder = Array.sort(
    deployments.keys(),
    Order.mapInput(Order.number, (position: number) => deployments[position]?.order ?? 0)
  )

  /** `counting` adds the deployments whose windows are too small; it is `Effect.void` for a request that fits all of them. */
  const missingForChat = (
    request: ChatRequest
  ): { readonly missing: MissingCapabilities; readonly counting: Effect.Effect<void> } => {
    const needed = isDeclared ? neededBy(request) : noFlags
    const isShort = ContextFit.bound(request, 0) <= smallest
    if (request.model === undefined && !isDeclared && isShort) return { missing: noneMissing, counting: Effect.void }
    const missing = missingModel(deployments, request.model)
    for (const [position, { capabilities }] of deployments.entries()) {
      for (const flag of needed) {
        if (capabilities[flag] === false && !missing.has(position)) {
          missing.set(position, { name: names[flag], isLength: false })
        }
      }
    }
    return { missing, counting: isShort ? Effect.void : addTooSmallWindows(request, missing) }
  }

  const addTooSmallWindows = (request: ChatRequest, missing: Map<number, MissingCapability>): Effect.Effect<void> =>
    Effect.forEach(
      deployments.entries(),
      ([position, { contextWindow, model }]) =>
        // The window of a model other than the deployment's own is unknown.
        missing.has(position) || (request.model !== undefined && request.model !== model)
          ? Effect.void
          : Effect.map(ContextFit.excess(counter, request, model, contextWindow, {}), (excess) => {
              if (Option.isNone(excess)) return
              const name = `a context window of more than ${contextWindow.toLocaleString("en-US")} tokens`
              missing.set(position, { name, isLength: true })
            }),
      { discard: true }
    )

  const missingForEmbedding = (model: string | undefined): MissingCapabilities => {
    const missing = missingModel(deployments, model)
    const canEmbed = (position: number): boolean =>
      deployments[position]?.capabilities.embeddings !== false && !missing.has(position)
    const first = byOrder.find(canEmbed)
    const family = first === undefined ? undefined : families[first]
    for (const position of deployments.keys()) {
      if (!canEmbed(position)) {
        if (!missing.has(position)) missing.set(position, { name: "embeddings", isLength: false })
      } else if (families[position] !== family && model === undefined) {
        missing.set(position, { name: `embeddings of the family ${family}`, isLength: false })
      }
    }
    return missing
  }

  return { missingForChat, missingForEmbedding }
}
