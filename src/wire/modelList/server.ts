/** Encodes lists of models, each as one page. */
import type { ServedModelsWire } from "../Wire.js"

export const openai: ServedModelsWire = {
  encodeResponse: (ids) => ({ object: "list", data: ids.map((id) => ({ id, object: "model" })) })
}

export const anthropic: ServedModelsWire = {
  encodeResponse: (ids) => ({ data: ids.map((id) => ({ type: "model", id })), has_more: false })
}

export const gemini: ServedModelsWire = {
  encodeResponse: (ids) => ({ models: ids.map((id) => ({ name: `models/${id}` })) })
}

export const ollama: ServedModelsWire = {
  encodeResponse: (ids) => ({ models: ids.map((name) => ({ name, model: name })) })
}
