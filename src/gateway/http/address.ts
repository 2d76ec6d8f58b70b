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
  // The name of a model can contain a slash, which clients send as it is.
  const [, deployment, ofDeployment = ""] =
    /^\/openai\/deployments\/(.+)(\/(?:chat\/completions|embeddings|responses))$/.exec(path) ?? []
  if (deployment !== undefined) {
    const model = Option.getOrUndefined(decodeModel(deployment))
    return model === undefined ? undefined : { path: `/v1${ofDeployment}`, model }
  }
  const azure = /^\/openai(?:\/v1)?(\/.+)$/.exec(path)?.[1]
  if (azure !== undefined) return { path: `/v1${azure}` }
  return /^\/(chat\/completions|embeddings|messages|models|responses)(\/|$)/.test(path)
    ? { path: `/v1${path}` }
    : undefined
}
