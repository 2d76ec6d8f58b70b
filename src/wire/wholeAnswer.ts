/** A whole answer from the events that say it, for wires whose one reader reads both ways of answering. */
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Json } from "./json.js"
import type { WireEvent, WireResponse } from "./Wire.js"

/** `events` are all there are, `Finish` included; `further` is what a stream does not tell. */
export const wholeAnswer = (
  head: { readonly id: string; readonly model: string },
  events: ReadonlyArray<WireEvent>,
  further: Json = {}
): WireResponse => {
  const said = events.reduce((collected, event: ChatEvent) => Events.append(collected, event), Events.nothing)
  return {
    id: head.id,
    model: head.model,
    text: said.text,
    reasoning: said.reasoningParts.map((part) => part.text).join(""),
    reasoningParts: said.reasoningParts,
    refusal: said.refusal,
    toolCalls: said.toolCalls,
    finishReason: said.finish?.reason ?? "other",
    rawFinishReason: said.finish?.rawReason ?? "",
    usage: said.finish?.usage ?? Usage.empty,
    providerMetadata: { ...said.finish?.providerMetadata, ...further }
  }
}
