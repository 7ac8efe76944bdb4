import sys; sys.path.insert(0,'/tmp/w6')
import os, subprocess, time, json
from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.deploy import environment
from artifact_store.embedded import classifier
def sh(c):
    print("$ "+c, flush=True); subprocess.run("/work/main/.venv/bin/python -m "+c.replace("artifact-store","artifact_store"), shell=True, stderr=subprocess.STDOUT, cwd="/tmp/w6")
with EmbeddedAws() as aws, environment({**aws.environment,"XDG_STATE_HOME":"/tmp/xdg"}):
    import boto3, time_machine
    s3=boto3.client("s3",endpoint_url=aws.endpoint); B="acme-models"; M="llama-ft"
    s3.create_bucket(Bucket=B); s3.put_bucket_versioning(Bucket=B,VersioningConfiguration={"Status":"Enabled"})
    t=time.time()-7*3600
    def put(k,d):
        global t
        t+=3
        with time_machine.travel(t,tick=False): s3.put_object(Bucket=B,Key=k,Body=d)
    for step in range(3):
        f=classifier.stored(classifier.train(seed=step+1,steps=1))
        for n,d in f.items(): put(f"{M}/{n}",d)
        t+=3700
    bad=classifier.stored(classifier.train(seed=9,steps=1))
    for n in list(bad)[:2]: put(f"{M}/{n}",bad[n])
    put("lone/model.safetensors",classifier.single(classifier.train(seed=4,steps=1)))
    put("lone/config.json",b"{}")
    def at(d): return time.strftime("%Y-%m-%dT%H:%M:%SZ",time.gmtime(d))
    now=at(time.time())
    sh(f"artifact-store restore s3://{B}/{M} --at {now} --to /tmp/zz --yes; echo rc $?")
    sh(f"artifact-store restore s3://{B}/{M} --at {now} --yes; echo rc $?")
    T1=at(t-3*3700)
    sh(f"artifact-store lock s3://{B}/{M} --at {now} -o /tmp/l.json; echo rc $?")
    sh(f"artifact-store lock s3://{B}/{M} --at {T1} -o /tmp/l.json; echo rc $?; head -12 /tmp/l.json")
    sh(f"artifact-store verify --lock /tmp/l.json; echo rc $?")
    sh(f"artifact-store get --lock /tmp/l.json -o /tmp/zz; echo rc $?; ls /tmp/zz; rm -r /tmp/zz")
    sh(f"artifact-store restore --lock /tmp/l.json --dry-run; echo rc $?")
    sh(f"artifact-store restore --lock /tmp/l.json --yes; echo rc $?")
    sh(f"artifact-store lock s3://{B}/{M} --at {T1} -o /tmp/l.json --hold; echo rc $?; rm /tmp/l.json")
    sh(f"artifact-store diff s3://{B}/{M} --tensors --at {T1}; echo rc $?")
    sh(f"artifact-store restore s3://{B}/{M} --at {at(t-3*3700+2)} ; echo rc $?")
    sh(f"artifact-store restore s3://{B}/{M} --yes; echo rc $?")
    sh(f"artifact-store models s3://{B}")
