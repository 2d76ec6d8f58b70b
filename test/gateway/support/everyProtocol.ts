/** A gateway in front of one simulated provider, which it calls by every protocol. */
import { Effect } from "effect"
import { SimulatedProvider } from "../../../src/testing/index.js"
import type { ChatRequest, ChatResponse } from "../../../src/vocabulary/Chat.js"
import { start } from "./gateway.js"

/** The models are `anthropic/large`, `gemini/large`, `ollama/large`, `responses/large`, `vllm/large` and `openai/large`. */
export const runningWith = (answer: (request: ChatRequest) => Partial<ChatResponse>) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make({ answer })
    const model = (type: string, path: string, fields: Readonly<Record<string, unknown>> = {}) => [
      { model_name: "large", type, base_url: provider.baseUrl.replace(/\/v1$/, path), api_keys: ["k"], ...fields }
    ]
    const { url } = yield* start({
      sections: {
        anthropic: model("anthropic-messages", "/v1"),
        gemini: model("gemini", "/v1beta"),
        ollama: model("ollama", "/api"),
        responses: model("responses", "/v1"),
        vllm: model("chat-completions", "/v1", { preset: "vllm" }),
        openai: model("chat-completions", "/v1", { preset: "openai" })
      }
    })
    return { url, log: provider.log }
  })
