/** The name under which Redis knows a script. */
import { createHash } from "node:crypto"

export const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex")
