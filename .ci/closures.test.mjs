import assert from "node:assert/strict"
import { test } from "node:test"
import { inNewSpace } from "./closures.mjs"

test("writes functions that are assigned to properties, also nested ones, as operands", () => {
  assert.equal(inNewSpace("a.b=()=>1;"), "a.b=(0,()=>1);")
  assert.equal(inNewSpace("a[b]=function(){c.d=x=>x};"), "a[b]=(0,function(){c.d=(0,x=>x)});")
  assert.equal(inNewSpace("e=a.b=async()=>({});"), "e=a.b=(0,async()=>({}));")
})

test("leaves other functions as they are", () => {
  for (const code of ["const a=()=>1;", "a={b:()=>1};", "a=()=>1;", "a.b??=()=>1;", "a.b=c;", "class A{b=()=>1}", ""]) {
    assert.equal(inNewSpace(code), code)
  }
})
