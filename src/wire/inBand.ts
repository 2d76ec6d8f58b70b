/** Errors in the body of a response whose status is a success. */
import type { Json } from "./json.js"
import { array, number, record, string } from "./json.js"

/** Whether the value of an error field is an error: null, false and an empty string mean that there is none. */
export const isError = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== ""

/**
 * Whether a body without an answer is an error: `error`, an error as the whole body (Mistral, vLLM), `detail` (FastAPI), `errors`
 * (Cloudflare), `base_resp` (MiniMax), `error_msg` (Qianfan). `wire/error` classifies the body.
 */
export const hasError = (body: Json): boolean =>
  isError(body["error"]) ||
  isError(body["detail"]) ||
  body["object"] === "error" ||
  ["message", "msg", "error_msg"].some((field) => Boolean(string(body, field))) ||
  (array(body, "errors") ?? []).length > 0 ||
  (number(record(body, "base_resp") ?? {}, "status_code") ?? 0) !== 0
