"""A small list of videos with emotions."""

from pathlib import Path

PRO = """video_id,subset,emotion,actions,subject,duration
a,train,joy,nodding;D3,s1,12.5
b,train,sadness,A1;48,s2,7
c,val,joy,B1,s3,60
d,val,joy,,s3,5
"""


def put(folder: Path, name: str, text: str) -> Path:
    """The file with this text, newly written."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
