/** Loaded before Portkey, whose npm package answers every stream with a 500: see `portkeyHooks.ts`. */
import { register } from "node:module"

register(new URL("portkeyHooks.js", import.meta.url))
