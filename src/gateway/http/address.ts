/** Paths that clients use for the gateway's own: without `/v1`, and Azure OpenAI's. */
import { Option } from "effect"

export interface Address {
  readonly path: string
  /** The model that the path names. */
  readonly model?: string
}

const decodeModel = Option.liftThrowable(decodeURIComponent)

/** Where a path that is not the gateway's own leads; undefined for one that leads nowhere. */
export const addressOf = (path: string): Address | undefined => {
  const azure = /^\/openai(?:\/deployments\/([^/]+)|\/v1)?(\/.+)$/.exec(path)
  if (azure !== null) {
    const [, deployment, rest = ""] = azure
    if (deployment === undefined) return { path: `/v1${rest}` }
    const model = Option.getOrUndefined(decodeModel(deployment))
    return model === undefined ? undefined : { path: `/v1${rest}`, model }
  }
  return /^\/(chat\/completions|embeddings|messages|models|responses)(\/|$)/.test(path)
    ? { path: `/v1${path}` }
    : undefined
}
