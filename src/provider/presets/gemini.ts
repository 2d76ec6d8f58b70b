/** Endpoints of the Gemini protocol and their deviations, with the documentation as the source. */
import type { Dialect } from "../../wire/gemini/dialect.js"
import type { Preset } from "../client.js"

/** https://ai.google.dev/gemini-api/docs/api-key: in a header, since URLs are logged. */
export const apiKey = { header: "x-goog-api-key" } as const

export const presets = {
  /** https://ai.google.dev/api/generate-content */
  gemini: {
    provider: "gemini",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta",
    auth: apiKey,
    dialect: {}
  },
  /**
   * https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference: with an access token as the key. Set
   * the `baseUrl` of your project,
   * `https://<location>-aiplatform.googleapis.com/v1/projects/<project>/locations/<location>/publishers/google`.
   */
  vertex: {
    provider: "vertex",
    baseUrl: "",
    auth: { header: "authorization", prefix: "Bearer " },
    dialect: { labels: true, embeddings: "predict" }
  },
  /** https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview: with an API key and no project. */
  vertexExpress: {
    provider: "vertex-express",
    baseUrl: "https://aiplatform.googleapis.com/v1/publishers/google",
    auth: apiKey,
    dialect: { labels: true, embeddings: "predict" }
  }
} as const satisfies Record<string, Preset<Dialect>>
