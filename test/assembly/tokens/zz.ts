import { countTokens as o } from "gpt-tokenizer/encoding/o200k_base";
import { countTokens as c } from "gpt-tokenizer/encoding/cl100k_base";
import { tokens } from "./support.ts";
import { random, mixedText } from "./corpus.ts";
const t = await tokens();
const opt = { disallowedSpecial: new Set<string>() };
let bad=0, bytes=0; const next=random(1);
for (let i=0;i<3000&&bad<12;i++){ const s=mixedText(next, 50+next(1000)); bytes+=Buffer.byteLength(s);
 for (const e of [0,1]) { const w=(e?c:o)(s,opt), g=t.count(e,s); if(w!==g){bad++;
   // shrink
   let lo=s; let changed=true; const ne=(x:string)=>(e?c:o)(x,opt)!==t.count(e,x);
   while(changed){changed=false; for(const k of [64,16,4,1]) for(let j=0;j+k<=lo.length;){const y=(lo.slice(0,j)+lo.slice(j+k)).toWellFormed(); if(ne(y)){lo=y;changed=true}else j+=k;}}
   console.log(e,w,g,JSON.stringify(lo), [...lo].map(x=>x.codePointAt(0)!.toString(16)).join(" "), (e?c:o)(lo,opt), t.count(e,lo)); }}}
console.log(bytes,bad);
