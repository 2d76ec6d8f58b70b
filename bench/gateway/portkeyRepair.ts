/** Loaded before Portkey, whose package as npm installs it answers every stream with a 500: see `portkeyHooks.ts`. */
import { register } from "node:module"

register(new URL("portkeyHooks.js", import.meta.url))
