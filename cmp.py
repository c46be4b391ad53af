import json,difflib,sys
a=json.load(open('/tmp/classroom/before.json')); b=json.load(open('/tmp/classroom/after.json'))
n=0
for k in a:
    if a[k]!=b.get(k):
        n+=1
        if n<=int(sys.argv[1]) if len(sys.argv)>1 else 6:
            x,y=[(v if isinstance(v,list) else [v]) for v in (a[k],b[k])]
            for p,q in zip(x,y):
                if p!=q:
                    print("##",k)
                    print("\n".join(l[:300] for l in list(difflib.unified_diff(p.split("\n"),q.split("\n"),lineterm="",n=0))[2:10]))
                    break
print(n,"differ of",len(a))
