/** What all protocols set in a body that is sent as its client wrote it. */
import type { Json } from "./json.js"

const noFields: Json = {}

/** The model, when the body names another one. */
export const withModel = (body: Json, model: string): Json => (body["model"] === model ? noFields : { model })

/** Whether the answer is streamed, when the body says otherwise. */
export const withStream = (body: Json, stream: boolean): Json =>
  (body["stream"] === true) === stream ? noFields : { stream: stream ? true : undefined }
