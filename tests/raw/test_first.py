"""Cases of CSV files, made on the spot."""
import gzip
from mora_pipeline.raw.csv_files import *
from mora_pipeline.raw.dialect import *
def table(file, d, cols):
    import pyarrow as pa
    out=[]
    for span in csv_splits(str(file), d, 7):
        for b in csv_batches(str(file), d, cols, span): out += b.to_pylist()
    return out
def test_x(tmp_path):
    f=tmp_path/'a.csv'; f.write_bytes(b'\xef\xbb\xbfa;b\n1;2\n\n3;4\n5\n6;7')
    r = table(f, detect(str(f),{}).dialect, ['b','a'])
    assert [(x['a'],x['b'],x['_malformed']) for x in r] == [('1','2',None),('3','4',None),(None,None,'5'),('6','7',None)]
    g=tmp_path/'a.csv.GZ'; g.write_bytes(gzip.compress(f.read_bytes()))
    assert len(table(g, detect(str(g),{}).dialect, ['b']))==4
