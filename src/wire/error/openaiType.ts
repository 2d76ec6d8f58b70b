/** The `type` of errors in OpenAI's protocols. */

/** The types of OpenAI's API, and of compatible servers where OpenAI has none, by status. */
export const openaiType = (status: number): string => {
  if (status === 402) return "insufficient_quota"
  if (status === 429) return "rate_limit_error"
  return status >= 500 ? "server_error" : "invalid_request_error"
}
