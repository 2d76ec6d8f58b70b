/** Decodes lists of models. */
import { Either } from "effect"
import type { Json } from "../json.js"
import { array, isRecord, number, string } from "../json.js"
import type { ListedModel, ModelsWire } from "../Wire.js"
import { malformed } from "../Wire.js"

const windowFields = ["context_window", "context_length", "max_context_length", "max_model_len", "inputTokenLimit"]

const windowOf = (item: Json): { readonly contextWindow?: number } => {
  const size = windowFields.map((field) => number(item, field)).find((size) => size !== undefined && size > 0)
  return size === undefined ? {} : { contextWindow: size }
}

const listed = (item: unknown, idField: string): ReadonlyArray<ListedModel> => {
  if (!isRecord(item)) return []
  const id = string(item, idField)
  return id === undefined || id === "" ? [] : [{ id, ...windowOf(item), details: item }]
}

/** OpenAI's list (API reference, models/list): `{ data: [{ id }] }`. Together sends only the array. */
export const openai: ModelsWire = {
  path: "/models",
  decodeResponse: (body) => {
    const items = Array.isArray(body) ? body : isRecord(body) ? array(body, "data") : undefined
    return items === undefined
      ? Either.left(malformed("data", body))
      : Either.right({ models: items.flatMap((item) => listed(item, "id")) })
  }
}

/** Anthropic's list (API reference, models/list), in pages. */
export const anthropic: ModelsWire = {
  path: "/models",
  query: { limit: "1000" },
  decodeResponse: (body) => {
    const items = isRecord(body) ? array(body, "data") : undefined
    if (!isRecord(body) || items === undefined) return Either.left(malformed("data", body))
    const last = string(body, "last_id")
    return Either.right({
      models: items.flatMap((item) => listed(item, "id")),
      ...(body.has_more === true && last !== undefined ? { next: { limit: "1000", after_id: last } } : {})
    })
  }
}

/** Gemini's list (Gemini API, models.list), in pages; names have the prefix `models/`. */
export const gemini: ModelsWire = {
  path: "/models",
  query: { pageSize: "1000" },
  decodeResponse: (body) => {
    const items = isRecord(body) ? array(body, "models") : undefined
    if (!isRecord(body) || items === undefined) return Either.left(malformed("models", body))
    const next = string(body, "nextPageToken")
    return Either.right({
      models: items
        .flatMap((item) => listed(item, "name"))
        .map((model) => ({ ...model, id: model.id.replace(/^models\//, "") })),
      ...(next ? { next: { pageSize: "1000", pageToken: next } } : {})
    })
  }
}

/** The models of an Ollama server (API documentation, "List Local Models"). */
export const ollama: ModelsWire = {
  path: "/api/tags",
  decodeResponse: (body) => {
    const items = isRecord(body) ? array(body, "models") : undefined
    return items === undefined
      ? Either.left(malformed("models", body))
      : Either.right({ models: items.flatMap((item) => listed(item, "name")) })
  }
}
