"""Train a policy: python run_recbole_lpi.py --model=LPIRL --dataset=ml-100k --any_setting=value"""

from recbole_lpi.cli.start import run_program

if __name__ == "__main__":
    run_program()
