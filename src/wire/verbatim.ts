/** What protocols set in a body that is sent as its client wrote it. */
import type { Json } from "./json.js"

const noFields: Json = {}

/** Whether the answer is streamed, when the body says otherwise. */
export const withStream = (body: Json, stream: boolean): Json =>
  (body["stream"] === true) === stream ? noFields : { stream: stream ? true : undefined }
