/** Errors that stand where an answer should be, under a status that says success. */
import type { Json } from "./json.js"
import { array, number, record, string } from "./json.js"

/** Where an error stands: something, and not one of the ways to say that there is none. */
export const isFault = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== ""

/**
 * Whether a body that lacks what an answer has says that it is an error: `error`, or as the whole of the body (Mistral, vLLM),
 * FastAPI's `detail`, Cloudflare's `errors`, MiniMax's `base_resp`, Qianfan's `error_msg`. What it means is decided from the
 * body as it is.
 */
export const saysError = (body: Json): boolean =>
  isFault(body["error"]) ||
  isFault(body["detail"]) ||
  body["object"] === "error" ||
  ["message", "msg", "error_msg"].some((field) => Boolean(string(body, field))) ||
  (array(body, "errors") ?? []).length > 0 ||
  (number(record(body, "base_resp") ?? {}, "status_code") ?? 0) !== 0
